"""Running exported artifacts by NumPy, Pillow and LiteRT: neither Keras nor TensorFlow is loaded."""

from l2zoo.inference.predictor import Predictor
from l2zoo.inference.results import Classified, Detected, Segmented

__all__ = ["Classified", "Detected", "Predictor", "Segmented"]
