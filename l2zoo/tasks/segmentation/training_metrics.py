"""Overlap of masks while a model trains: Keras metrics that count pixels like `overlap.confusion`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from l2zoo.utils.validation import whole_number


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
    """Counts pixels like `overlap.confusion`.

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
    """`overlap.mean_iou` over the data so far; see `training_metrics`."""

    def __init__(self, num_classes: int, name: str = "mean_iou", dtype: Any = "float32"):
        super().__init__(num_classes, name, dtype)

    def _shares(self, both: Any, sizes: Any) -> Any:
        return ops.divide_no_nan(both, sizes - both)


@keras.saving.register_keras_serializable("l2zoo")
class MeanDice(_Counting):
    """`overlap.mean_dice` over the data so far; see `training_metrics`."""

    def __init__(self, num_classes: int, name: str = "dice", dtype: Any = "float32"):
        super().__init__(num_classes, name, dtype)

    def _shares(self, both: Any, sizes: Any) -> Any:
        return ops.divide_no_nan(2 * both, sizes)
