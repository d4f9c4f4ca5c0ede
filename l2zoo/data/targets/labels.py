"""The targets of classification: the class of every image, `(N,)`, int64."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from l2zoo.data.sources import catalog, features


@dataclasses.dataclass(frozen=True)
class LabelFeature:
    """A `ClassLabel` of a TFDS builder.

    Attributes:
        class_names: K names.
        key: Its name among the features.
    """

    class_names: tuple[str, ...] = dataclasses.field(repr=False)
    key: str
    task: ClassVar[str] = "classification"

    def stored(self, example: Any) -> Any:
        import tensorflow as tf

        return tf.cast(example[self.key], tf.int64)

    def decode(self, stored: Any, before: Any, after: tuple[int, int]) -> Any:
        return stored

    def guarded(self, target: Any) -> Any:
        """The label, which must not be the -1 of "unknown"."""
        import tensorflow as tf

        with tf.control_dependencies([tf.debugging.assert_non_negative(target, "A label is negative")]):
            return tf.identity(target)

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> np.ndarray:
        return np.empty(num_examples, np.int64)


def find(builder: Any) -> tuple[str, LabelFeature] | None:
    """The names of the image and its label: those that TFDS supervises with, or the only ones there are."""
    known = builder.info.features
    classes = features.keys_of(known, catalog.import_tfds().features.ClassLabel)
    pairs = [(image, label) for image in features.image_keys(builder) for label in classes]
    if builder.info.supervised_keys in pairs:
        pairs = [builder.info.supervised_keys]
    if len(pairs) != 1:
        return None
    image, label = pairs[0]
    return image, LabelFeature(tuple(known[label].names), label)


def check_rank(y: np.ndarray) -> None:
    """Raises a `ValueError` unless labels are `(N,)`."""
    if y.ndim != 1:
        raise ValueError(f"`y` must have shape (N,), one label an image, got shape={y.shape}{_hint(y)}")


def _hint(y: np.ndarray) -> str:
    if y.ndim == 2:
        return ": turn one-hot rows into numbers with y.argmax(axis=1)."
    return ": masks need task='segmentation'." if y.ndim == 3 else "."


def check_values(labels: np.ndarray, num_classes: int | None, name: str) -> None:
    """Raises a `ValueError` unless labels of any shape are integers in `[0, num_classes)`."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Labels must be integers, got dtype={labels.dtype}: cast them with {name}.astype('int64')."
        )
    if num_classes is not None and num_classes < 1:
        raise ValueError(f"`num_classes` must be at least 1, got num_classes={num_classes}.")
    wrong = labels < 0 if num_classes is None else (labels < 0) | (labels >= num_classes)
    if wrong.any():
        first = np.unravel_index(wrong.argmax(), wrong.shape)
        wanted = (
            "at least 0" if num_classes is None else f"in [0, {num_classes}) for num_classes={num_classes}"
        )
        place = ", ".join(map(str, first))
        raise ValueError(f"Labels must be {wanted}, got {name}[{place}]={labels[first]}.")
