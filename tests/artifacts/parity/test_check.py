"""What is written is judged: a file that needs more than every runtime has is refused."""

import pytest

from l2zoo.artifacts.parity.check import refuse_custom


def test_custom_operators_of_any_format_are_refused():
    inside = {"onnx": {"custom_operators": {"com.microsoft:Gelu": 1}}, "keras": {"parameters": 3}}
    with pytest.raises(ValueError, match=r"need others: \{'onnx': .*Gelu.*Replace the layers"):
        refuse_custom(inside)
    refuse_custom({"keras": inside["keras"], "savedmodel": {"custom_operators": {}}})
