"""The targets of segmentation: the class of every pixel, `(N, H, W)`, uint8; 255 is not labelled."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from l2zoo.data.preprocessing.resizing import fit

UNLABELLED = 255

_VALUES = f"or {UNLABELLED} for not labelled"


@dataclasses.dataclass(frozen=True)
class Masks:
    """What masks have in common, wherever they are kept.

    Attributes:
        class_names: K names.
    """

    class_names: tuple[str, ...] = dataclasses.field(repr=False)
    task: ClassVar[str] = "segmentation"

    def fit(self, mask: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        """A mask `(H, W, 1)`, which must have the size `before`, as `(H, W)` with the size `after`.

        What is padded is not labelled.
        """
        import tensorflow as tf

        text = "A mask and its image differ in size (H, W)"
        same = tf.debugging.assert_equal(tf.shape(mask)[:2], before, text)
        with tf.control_dependencies([same]):
            return tf.ensure_shape(fit(mask, after, aspect, nearest=True, fill=UNLABELLED)[..., 0], after)

    def guard(self, target: Any) -> Any:
        import tensorflow as tf

        fine = tf.reduce_all((target < len(self.class_names)) | (target == UNLABELLED))
        text = f"A mask holds a value that is not in [0, {len(self.class_names)}) {_VALUES}"
        with tf.control_dependencies([tf.debugging.Assert(fine, [text])]):
            return tf.identity(target)

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> np.ndarray:
        return np.empty((num_examples, *image_shape[:2]), np.uint8)


def check_rank(y: np.ndarray) -> None:
    """Raises a `ValueError` unless masks are `(N, H, W)`."""
    if y.ndim != 3:
        raise ValueError(f"`y` must have shape (N, H, W), one mask an image, got shape={y.shape}.")


def check_values(y: np.ndarray, size: tuple[int, int], num_classes: int | None) -> None:
    """Raises a `ValueError` unless masks `(N, H, W)` fit images of a size and hold classes or 255."""
    if not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"Masks must be integers, got dtype={y.dtype}: cast them with y.astype('uint8').")
    if y.shape[1:] != tuple(size):
        raise ValueError(
            f"Masks must have the size of their images, got masks of {_words(y.shape[1:])} for images of "
            f"{_words(size)} (height x width)."
        )
    end = UNLABELLED if num_classes is None else num_classes
    wrong = (y < 0) | ((y >= end) & (y != UNLABELLED))
    if wrong.any():
        first = np.unravel_index(wrong.argmax(), wrong.shape)
        raise ValueError(
            f"Masks must hold classes in [0, {end}) {_VALUES}, got the value {y[first]} in y[{first[0]}]."
        )


def _words(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"
