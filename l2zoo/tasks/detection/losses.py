"""What a detector is trained on: a loss for each of its outputs, as in FCOS.

Each is summed over the places that see an object and divided by their number in the batch, so that a scene
full of objects does not weigh more than others.

References:
    Tian, Shen, Chen, He 2019, FCOS: Fully Convolutional One-Stage Object Detection. Rezatofighi et al. 2019,
    Generalized Intersection over Union.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from l2zoo.tasks.detection import boxes

ALPHA, GAMMA = 0.25, 2.0  # Lin et al. 2017, Focal Loss for Dense Object Detection, section 5.1


class _OverPlaces(keras.losses.Loss):
    """A loss with one number for the batch."""

    def __init__(self, name: str):
        super().__init__(name=name, reduction="sum")

    def get_config(self) -> dict[str, Any]:
        return {}  # nothing can be chosen


@keras.saving.register_keras_serializable("l2zoo")
class ClassLoss(_OverPlaces):
    """Focal loss of every place and class, for classes `(B, N, 1)`, `boxes.NOTHING` where nothing is seen."""

    def __init__(self) -> None:
        super().__init__("class_loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = ops.cast(y_true[..., 0], "int32")
        wanted = ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype)  # all zero for NOTHING
        surprise = keras.losses.binary_focal_crossentropy(  # (B, N): the mean over the classes
            wanted, y_pred, apply_class_balancing=True, alpha=ALPHA, gamma=GAMMA, from_logits=True
        )
        seen = ops.sum(ops.cast(classes != boxes.NOTHING, y_pred.dtype))
        return ops.sum(surprise) * y_pred.shape[-1] / ops.maximum(seen, 1.0)


@keras.saving.register_keras_serializable("l2zoo")
class SidesLoss(_OverPlaces):
    """1 - GIoU of the boxes that places speak of, weighted by centerness, for `(B, N, 5)`.

    The targets are the distances to the four sides and the centerness, 0 for places that see nothing.
    """

    def __init__(self) -> None:
        super().__init__("sides_loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, y_pred.dtype)
        weight = y_true[..., 4]
        return ops.sum((1 - giou(y_true[..., :4], y_pred)) * weight) / ops.maximum(ops.sum(weight), 1e-6)


@keras.saving.register_keras_serializable("l2zoo")
class CenternessLoss(_OverPlaces):
    """Cross-entropy of the places that see an object, for their centerness `(B, N, 1)`."""

    def __init__(self) -> None:
        super().__init__("centerness_loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, y_pred.dtype)
        seen = ops.cast(y_true > 0, y_pred.dtype)
        surprise = ops.binary_crossentropy(y_true, y_pred, from_logits=True)
        return ops.sum(surprise * seen) / ops.maximum(ops.sum(seen), 1.0)


def giou(one: Any, other: Any) -> Any:
    """Generalized intersection over union of boxes around the same places.

    `|A and B| / |A or B| - |C without (A or B)| / |C|`, where `C` is the smallest box around both.

    Args:
        one: Distances to the left, top, right and bottom side `(..., 4)`, at least 0.
        other: Likewise.

    Returns:
        `(...)`, in (-1, 1].
    """
    shared = _area(ops.minimum(one, other))  # both hold the place, so the smaller distance is shared
    union = _area(one) + _area(other) - shared
    around = _area(ops.maximum(one, other))
    return shared / ops.maximum(union, 1e-6) - (around - union) / ops.maximum(around, 1e-6)


def _area(sides: Any) -> Any:
    return (sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3])
