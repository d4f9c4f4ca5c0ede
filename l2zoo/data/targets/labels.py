"""The targets of classification: the class of every image, `(N,)`, int64; without classes, zeros."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np


@dataclasses.dataclass(frozen=True)
class Labels:
    """One class an image, kept as its number.

    Attributes:
        class_names: K names.
    """

    class_names: tuple[str, ...] = dataclasses.field(repr=False)
    task: ClassVar[str] = "classification"

    def decode(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        return stored

    def read(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        return stored

    def guard(self, target: Any) -> Any:
        """The label, which must not be the -1 of "unknown"."""
        import tensorflow as tf

        with tf.control_dependencies([tf.debugging.assert_non_negative(target, "A label is negative")]):
            return tf.identity(target)

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> np.ndarray:
        return np.empty(num_examples, np.int64)


@dataclasses.dataclass(frozen=True)
class NoLabels(Labels):
    """Nothing beside the images, for generators: the label of each is 0, of no class."""

    class_names: tuple[str, ...] = ()
    task: ClassVar[str] = "generation"

    def guard(self, target: Any) -> Any:
        return target


def classes_of(y: Any) -> np.ndarray | None:
    """The class of each row of targets, `(N,)`; None where a row has several, or none.

    Args:
        y: Labels `(N,)` or `(N, 1)`, whole numbers from 0 of any type; one-hot or smoothed
            labels `(N, K)`, of which each row sums to 1; or any other targets.

    Example:
        >>> classes_of(np.array([[0, 1], [1, 0]])), classes_of(np.array([0.5, 1.5]))
        (array([1, 0]), None)
    """
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1:
        whole = y.dtype.kind != "f" or bool(np.all(y == np.round(y)))
        return y.astype(np.int64) if whole and y.min() >= 0 else None
    shares = bool(np.all(y >= 0)) and np.allclose(y.sum(axis=1), 1, atol=1e-5)
    return y.argmax(axis=1) if shares else None


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
