"""Running exported artifacts by NumPy, Pillow and LiteRT: neither Keras nor TensorFlow is loaded.

Each name is imported when it is first used: the help of a command that serves needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from l2zoo.utils.validation import no_attribute

if TYPE_CHECKING:
    from l2zoo.inference.predictor import Predictor
    from l2zoo.inference.results import Classified, Detected, Segmented

__all__ = ["Classified", "Detected", "Predictor", "Segmented"]

_HOME = {"Classified": "results", "Detected": "results", "Predictor": "predictor", "Segmented": "results"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise no_attribute(__name__, name, _HOME)
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
