"""Running exported artifacts by NumPy, Pillow and LiteRT: neither Keras nor TensorFlow is loaded.

Each name is imported when it is first used: the help of a command that serves needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from l2zoo.utils.packages import public_value

if TYPE_CHECKING:
    from l2zoo.inference.predictor import Predictor
    from l2zoo.inference.results import Classified, Detected, Segmented

__all__ = ["Classified", "Detected", "Predictor", "Segmented"]

_HOME = {
    "Classified": "l2zoo.inference.results",
    "Detected": "l2zoo.inference.results",
    "Predictor": "l2zoo.inference.predictor",
    "Segmented": "l2zoo.inference.results",
}


def __getattr__(name: str) -> Any:
    return public_value(__name__, name, _HOME)
