"""How good masks are: intersection over union, Dice and accuracy of pixels, over a whole data set.

All of them follow from one matrix that counts pixels: rows are the true classes, columns the predicted ones.
The matrices of batches add up. `training_metrics` counts the same way while a model trains.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.utils.validation import whole_number

UNLABELLED = 255  # the usual mark of pixels that do not count


def confusion(
    masks: np.ndarray, predicted: np.ndarray, num_classes: int, *, ignore: int | None = UNLABELLED
) -> np.ndarray:
    """Counts the pixels of every true class that were taken for every class.

    Args:
        masks: The true classes, integers of any shape, in [0, K) or `ignore`.
        predicted: The predicted classes, of the same shape, in [0, K) where `masks` is not `ignore`.
        num_classes: K, at least 1.
        ignore: The mark of pixels that do not count, or `None`.

    Returns:
        `(K, K)`, int64: row is the true class, column the predicted one.

    Raises:
        ValueError: The shapes differ, or a pixel is of no class.

    Example:
        >>> batches = [([0, 0, 1], [0, 1, 1]), ([1, 255], [0, 0])]
        >>> sum(confusion(masks, predicted, 2) for masks, predicted in batches).tolist()
        [[1, 1], [1, 1]]
    """
    num_classes = whole_number("num_classes", num_classes, at_least=1)
    masks, predicted = np.asarray(masks), np.asarray(predicted)
    if masks.shape != predicted.shape:
        raise ValueError(
            f"`masks` and `predicted` must have the same shape, got {masks.shape} and {predicted.shape}. "
            "Turn probabilities into classes with argmax(axis=-1)."
        )
    counted = np.ones(masks.shape, bool) if ignore is None else masks != ignore
    rows = _classes("masks", masks[counted], num_classes)
    columns = _classes("predicted", predicted[counted], num_classes)
    return np.bincount(rows * num_classes + columns, minlength=num_classes**2).reshape(num_classes, -1)


def iou_by_class(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union of every class, `(K,)` in [0, 1]; NaN where it is neither true nor predicted.

    Args:
        matrix: What `confusion` gives, `(K, K)`.
    """
    both, sizes = _counts(matrix)
    return np.divide(both, sizes - both, out=np.full(len(both), np.nan), where=sizes > 0)


def dice_by_class(matrix: np.ndarray) -> np.ndarray:
    """`2 * intersection / (true + predicted)` of every class, `(K,)` in [0, 1]; NaN as in `iou_by_class`.

    Args:
        matrix: What `confusion` gives, `(K, K)`.
    """
    both, sizes = _counts(matrix)
    return np.divide(2 * both, sizes, out=np.full(len(both), np.nan), where=sizes > 0)


def mean_iou(matrix: np.ndarray) -> float:
    """The mean of `iou_by_class` over the classes that are true or predicted somewhere, in [0, 1].

    Args:
        matrix: What `confusion` gives, `(K, K)`.

    Raises:
        ValueError: No pixel was counted.

    Example:
        >>> round(mean_iou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])), 4)  # (3/4 + 2/3) / 2
        0.7083
    """
    _check_some(matrix)
    return float(np.nanmean(iou_by_class(matrix)))


def mean_dice(matrix: np.ndarray) -> float:
    """The mean of `dice_by_class` over the classes that are true or predicted somewhere, in [0, 1].

    Args:
        matrix: What `confusion` gives, `(K, K)`.

    Raises:
        ValueError: No pixel was counted.
    """
    _check_some(matrix)
    return float(np.nanmean(dice_by_class(matrix)))


def pixel_accuracy(matrix: np.ndarray) -> float:
    """The share of pixels whose class was predicted, in [0, 1].

    Args:
        matrix: What `confusion` gives, `(K, K)`.

    Raises:
        ValueError: No pixel was counted.
    """
    _check_some(matrix)
    return float(np.trace(matrix) / np.sum(matrix))


def training_metrics(num_classes: int) -> list[keras.metrics.Metric]:
    """`mean_iou` and `dice` for `Model.compile(metrics=...)`.

    They take one-hot truth `(..., K)` and probabilities or logits `(..., K)`. A pixel whose truth is 0 for
    every class is not labelled and does not count.

    Args:
        num_classes: K, at least 1.

    Returns:
        New metrics, named `mean_iou` and `dice`.
    """
    return [MeanIoU(num_classes), MeanDice(num_classes)]


class _Counting(keras.metrics.Metric):
    """Counts pixels like `confusion`.

    In float32: the int32 of Keras's own metrics overflows at 2**31 pixels, where this one rounds.

    Args:
        num_classes: K, at least 1.
        name: Of the metric in logs.
        dtype: Of the counts.
    """

    def __init__(self, num_classes: int, name: str, dtype: Any = "float32"):
        super().__init__(name=name, dtype=dtype)
        self.num_classes = whole_number("num_classes", num_classes, at_least=1)
        self._direction = "up"  # what `EarlyStopping(mode="auto")` reads
        shape = (self.num_classes, self.num_classes)
        self.matrix = self.add_variable(shape, keras.initializers.Zeros(), name="matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds pixels.

        Args:
            y_true: One-hot truth, `(..., K)`.
            y_pred: Probabilities or logits, `(..., K)`.
            sample_weight: Weights with the first axes of the truth, such as `(B,)` or `(B, H, W)`.
        """
        K = self.num_classes
        truth, y_pred = ops.convert_to_tensor(y_true, self.dtype), ops.convert_to_tensor(y_pred)
        if not {truth.shape[-1], y_pred.shape[-1]} <= {K, None}:
            raise ValueError(
                f"`y_true` and `y_pred` must end in num_classes={K}, got shapes {tuple(truth.shape)} and "
                f"{tuple(y_pred.shape)}. Turn masks into one-hot rows with keras.ops.one_hot."
            )
        if sample_weight is not None:
            weight = ops.convert_to_tensor(sample_weight, self.dtype)
            truth = truth * weight[(..., *[None] * (len(truth.shape) - len(weight.shape)))]
        predicted = ops.one_hot(ops.argmax(y_pred, axis=-1), K, dtype=self.dtype)
        truth, predicted = (ops.reshape(rows, (-1, K)) for rows in (truth, predicted))
        self.matrix.assign(self.matrix + ops.matmul(ops.transpose(truth), predicted))

    def result(self) -> Any:
        """The mean over the classes that are true or predicted somewhere, 0 before the first pixel."""
        both = ops.diagonal(self.matrix)
        sizes = ops.sum(self.matrix, axis=0) + ops.sum(self.matrix, axis=1)
        there = ops.sum(ops.cast(sizes > 0, self.dtype))
        return ops.divide_no_nan(ops.sum(self._shares(both, sizes)), there)

    def _shares(self, both: Any, sizes: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable("l2zoo")
class MeanIoU(_Counting):
    """`mean_iou` over the data so far; see `training_metrics`."""

    def __init__(self, num_classes: int, name: str = "mean_iou", dtype: Any = "float32"):
        super().__init__(num_classes, name, dtype)

    def _shares(self, both: Any, sizes: Any) -> Any:
        return ops.divide_no_nan(both, sizes - both)


@keras.saving.register_keras_serializable("l2zoo")
class MeanDice(_Counting):
    """`mean_dice` over the data so far; see `training_metrics`."""

    def __init__(self, num_classes: int, name: str = "dice", dtype: Any = "float32"):
        super().__init__(num_classes, name, dtype)

    def _shares(self, both: Any, sizes: Any) -> Any:
        return ops.divide_no_nan(2 * both, sizes)


def _classes(name: str, values: np.ndarray, num_classes: int) -> np.ndarray:
    """`values` as int64, if they are classes."""
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers, got dtype={values.dtype}: use argmax or astype('int64')."
        )
    wrong = values[(values < 0) | (values >= num_classes)]
    if len(wrong):
        raise ValueError(
            f"`{name}` must be in [0, {num_classes}) for num_classes={num_classes}, got {wrong[0]}."
        )
    return values.astype(np.int64)


def _counts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(K,)` each: pixels that are right, and true pixels plus predicted ones."""
    matrix = np.asarray(matrix)
    return np.diagonal(matrix).astype(np.float64), matrix.sum(axis=0) + matrix.sum(axis=1)


def _check_some(matrix: np.ndarray) -> None:
    if not np.any(matrix):
        raise ValueError(
            "`matrix` must count at least one pixel, but all it holds is 0: no pixel is labelled."
        )
