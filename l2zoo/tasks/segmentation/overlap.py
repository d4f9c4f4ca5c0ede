"""How good masks are: intersection over union, Dice and accuracy of pixels, over a whole data set.

All of them follow from one matrix that counts pixels: rows are the true classes, columns the predicted ones.
The matrices of batches add up. NumPy alone; `training_metrics` counts the same way while a model trains.
"""

from __future__ import annotations

import numpy as np

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


def scores(matrix: np.ndarray) -> dict[str, float]:
    """`mean_iou`, `dice` and `pixel_accuracy`, by which masks are judged everywhere.

    Args:
        matrix: What `confusion` gives, `(K, K)`.

    Raises:
        ValueError: No pixel was counted.
    """
    return {
        "mean_iou": mean_iou(matrix),
        "dice": mean_dice(matrix),
        "pixel_accuracy": pixel_accuracy(matrix),
    }


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
