"""What every test of the policy needs: one reason to ignore one warning of Keras's own."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Keras hands variables to NumPy through an `__array__` that has not caught up with NumPy 2.
NUMPY_COPY = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings(NUMPY_COPY))
