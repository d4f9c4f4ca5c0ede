"""The last layer of a deployed detector: from the answers of all places to a fixed number of final boxes.

It is part of the graph and made of operators that TFLite has built in, so a phone needs no code of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.tasks.detection import boxes
from l2zoo.utils.validation import whole_number

# In each round every box learns whether a box that stays hides it. As many rounds as boxes would always do;
# chains in which a box hides one that would have hidden another are never so long in practice.
ROUNDS = 20


@keras.saving.register_keras_serializable("l2zoo")
class FinalBoxes(keras.layers.Layer):
    """Scores, sorts and thins out what a detector's places say, by greedy suppression within each class.

    The score of a box is `sqrt(sigmoid(class_logit) * sigmoid(centerness_logit))`. From the best downwards, a
    box stays unless one of its class that stays covers it with more than `iou_threshold`.

    Args:
        image_shape: `(H, W)` in pixels.
        strides: Those of the detector's levels.
        max_boxes: How many boxes come out for each image; missing ones have score 0.
        score_threshold: Boxes below it are left out, in [0, 1].
        iou_threshold: In [0, 1].
        candidates: How many of the best are looked at.

    Returns (of a call on a detector's outputs):
        `"boxes_xyxy"` `(B, max_boxes, 4)` in pixels, inside the image; `"scores"` `(B, max_boxes)`, falling;
        `"classes"` `(B, max_boxes)`, int32, -1 where the score is 0.

    References:
        Tian, Shen, Chen, He 2019, FCOS, section 3; the square root of their later code.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        strides: Sequence[int],
        max_boxes: int = 100,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        candidates: int = 300,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.strides = tuple(strides)
        self.max_boxes = whole_number("max_boxes", max_boxes, at_least=1)
        self.score_threshold = _share("score_threshold", score_threshold)
        self.iou_threshold = _share("iou_threshold", iou_threshold)
        self.candidates = whole_number("candidates", candidates, at_least=self.max_boxes)
        self._places = boxes.places(*self.image_shape, strides=self.strides)

    def call(self, outputs: dict[str, Any]) -> dict[str, Any]:
        centred = ops.sigmoid(outputs["centerness_logits"])
        scores = ops.sqrt(ops.sigmoid(outputs["class_logits"]) * centred)  # (B, N, K)
        num_places, num_classes = scores.shape[1:]
        count = min(self.candidates, num_places * num_classes)
        scores, found = ops.top_k(ops.reshape(scores, (-1, num_places * num_classes)), count)
        found = ops.cast(found, "int32")
        classes = ops.mod(found, num_classes)
        corners = _gather(self._corners(outputs["sides"]), ops.floor_divide(found, num_classes))
        keep = self._suppress(corners, classes) * ops.cast(scores >= self.score_threshold, "float32")
        scores, found = ops.top_k(scores * keep, min(self.max_boxes, count))
        there = scores > 0
        found = ops.cast(found, "int32")
        corners = _gather(corners, found) * ops.cast(there, "float32")[..., None]
        classes = ops.where(there, ops.squeeze(_gather(classes[..., None], found), -1), -1)
        return self._pad({"boxes_xyxy": corners, "scores": scores, "classes": classes})

    def _corners(self, sides: Any) -> Any:
        """The boxes `(B, N, 4)` that the places speak of, inside the image."""
        height, width = self.image_shape
        xy = ops.convert_to_tensor(self._places[:, :2])
        low, high = xy - sides[..., :2], xy + sides[..., 2:]
        limits = ops.convert_to_tensor(np.array([width, height], "float32"))
        return ops.concatenate([ops.maximum(low, 0.0), ops.minimum(high, limits)], axis=-1)

    def _suppress(self, corners: Any, classes: Any) -> Any:
        """`(B, M)`: 1 for boxes that stay, of those that are sorted by score."""
        count = corners.shape[1]
        one, other = corners[:, :, None], corners[:, None]
        sizes = ops.maximum(corners[..., 2:] - corners[..., :2], 0.0)
        areas = sizes[..., 0] * sizes[..., 1]
        overlap = ops.minimum(one[..., 2:], other[..., 2:]) - ops.maximum(one[..., :2], other[..., :2])
        overlap = ops.maximum(overlap, 0.0)
        shared = overlap[..., 0] * overlap[..., 1]
        union = areas[:, :, None] + areas[:, None] - shared
        same = ops.cast(ops.equal(classes[:, :, None], classes[:, None]), "float32")
        better = ops.convert_to_tensor(np.triu(np.ones((count, count), "float32"), 1))  # row: the better box
        hides = ops.cast(shared > self.iou_threshold * union, "float32") * same * better
        stay = ops.ones_like(areas)
        for _ in range(ROUNDS):
            stay = 1.0 - ops.max(stay[:, :, None] * hides, axis=1)
        return stay

    def _pad(self, found: dict[str, Any]) -> dict[str, Any]:
        """As many as were asked for, where an image has not even so many places."""
        missing = self.max_boxes - found["scores"].shape[1]
        if missing:
            found = {
                name: ops.pad(
                    value,
                    [(0, 0), (0, missing), (0, 0)][: len(value.shape)],
                    constant_values=-1 if name == "classes" else 0,
                )
                for name, value in found.items()
            }
        return found

    def compute_output_spec(self, outputs: dict[str, Any]) -> dict[str, Any]:
        batch = outputs["sides"].shape[0]
        return {
            "boxes_xyxy": keras.KerasTensor((batch, self.max_boxes, 4), "float32"),
            "scores": keras.KerasTensor((batch, self.max_boxes), "float32"),
            "classes": keras.KerasTensor((batch, self.max_boxes), "int32"),
        }

    def get_config(self) -> dict[str, Any]:
        names = ("image_shape", "strides", "max_boxes", "score_threshold", "iou_threshold", "candidates")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def add_final_boxes(detector: keras.Model, *, strides: Sequence[int], **settings: Any) -> keras.Model:
    """A detector from pixels to final boxes, with the weights of `detector`.

    Args:
        detector: With raw outputs, from `build_detector`.
        strides: Those it was built with.
        settings: Of `FinalBoxes`.
    """
    shape = detector.inputs[0].shape[1:3]
    outputs = FinalBoxes(shape, strides=strides, name="final_boxes", **settings)(detector.output)
    return keras.Model(detector.inputs, outputs, name=f"{detector.name}_deployed")


def _gather(values: Any, rows: Any) -> Any:
    """`values[b, rows[b]]` for every image: `(B, N, C)` and `(B, M)` to `(B, M, C)`."""
    return ops.take_along_axis(values, rows[..., None], axis=1)


def _share(name: str, value: float) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"`{name}` must be in [0, 1], got {name}={value!r}.")
    return float(value)
