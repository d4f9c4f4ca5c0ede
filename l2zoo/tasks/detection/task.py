"""Detection: what is where in an image, as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from l2zoo.data import ImageData, provenance
from l2zoo.data.prepared import Prepared
from l2zoo.tasks.augmentation import augmentation
from l2zoo.tasks.checks import (
    check_classes,
    check_data,
    check_outputs,
    check_places,
    first_batch,
    predict_batches,
)
from l2zoo.tasks.detection import boxes, final_boxes
from l2zoo.tasks.detection.average_precision import average_precision
from l2zoo.tasks.detection.losses import CenternessLoss, ClassLoss, SidesLoss
from l2zoo.tasks.plots import pictures
from l2zoo.utils.arguments import suggest_arguments

STRIDES = (4, 8, 16)  # of `build_detector`


@suggest_arguments
@dataclass(frozen=True)
class Detection:
    """How a detector of `build_detector` is trained and judged.

    Attributes:
        class_names: K names, without background.
        strides: Those that the detector was built with.
        max_boxes: How many boxes the deployed model gives for an image.
    """

    class_names: Sequence[str]
    strides: Sequence[int] = STRIDES
    max_boxes: int = 100
    name: ClassVar[str] = "detection"
    score: ClassVar[str] = "map"
    objective: ClassVar[str] = "val_data_loss"
    scale: ClassVar[float] = 1.0

    def compiling(self) -> dict[str, Any]:
        """A loss for each output, for Keras's `compile` and for `fit`. Precision is measured afterwards."""
        losses = {
            "class_logits": ClassLoss(),
            "sides": SidesLoss(),
            "centerness_logits": CenternessLoss(),
        }
        return {"loss": losses, "metrics": []}

    def prepared(self, data: ImageData, *, augment: str = "none") -> Prepared:
        """The data with what every place of the detector should answer, for `fit`.

        Args:
            data: Images with boxes.
            augment: What `augmentation` takes, as in `"flip+shift"`; for training alone.
        """
        check_data(self.name, self.class_names, data)
        change = augmentation(augment, task=self.name, image_shape=data.image_shape)
        where = boxes.places(*data.image_shape[:2], strides=self.strides)
        widths = {"class_logits": 1, "sides": 5, "centerness_logits": 1}

        def prepare(images: Any, objects: Any, seed: Any) -> tuple[Any, Any]:
            import tensorflow as tf

            if change is not None and seed is not None:
                images, objects = change(images, objects, seed)
            flat = tf.numpy_function(
                lambda corners, labels: tuple(batch_targets(corners, labels, where).values()),
                [objects["boxes_xyxy"], objects["labels"]],
                [tf.float32] * len(widths),
            )
            shaped = zip(widths.items(), flat, strict=True)
            return images, {
                name: tf.ensure_shape(part, (None, len(where), width)) for (name, width), part in shaped
            }

        words = {"task": self.name, "augment": augment, "strides": list(self.strides)}
        return Prepared(data, prepare, words, num_classes=len(self.class_names))

    def measure(self, model: keras.Model, data: ImageData) -> dict[str, float]:
        """How good a model is.

        Returns:
            `map`, COCO's average precision over IoU 0.5 to 0.95, `map50` and `map75`, at 0.5 and 0.75.
        """
        check_data(self.name, self.class_names, data)
        parts = [(objects, found) for _, objects, found in predict_batches(self.deployed(model), data)]
        truth, found = (
            {name: np.concatenate([part[name] for part in some]) for name in some[0]}
            for some in zip(*parts, strict=True)
        )
        return self.scores(found, truth)

    def scores(self, outputs: dict[str, np.ndarray], objects: dict[str, np.ndarray]) -> dict[str, float]:
        """How good the boxes of the deployed model are: as `measure`, more is better.

        Args:
            outputs: `boxes_xyxy` `(N, D, 4)`, `scores` `(N, D)` and `classes` `(N, D)`.
            objects: `boxes_xyxy` `(N, M, 4)` and `labels` `(N, M)`.
        """
        return average_precision(outputs, objects, num_classes=len(self.class_names))

    def examples(self, model: keras.Model, data: ImageData, most: int) -> tuple[Any, Any]:
        """The first images, as the deployed model takes them, and their boxes."""
        del model
        return first_batch(data, most)

    def deployed(self, model: keras.Model) -> keras.Model:
        """The model as it is exported: from pixels to final boxes. One that gives them is passed."""
        if isinstance(model.output, dict) and "boxes_xyxy" in model.output:
            return model
        check_outputs(self.name, model)
        check_classes(model, len(self.class_names), who="The task")
        height, width, _ = model.input_shape[1:]
        check_places(model, len(boxes.places(height, width, strides=self.strides)))
        deployed = final_boxes.add_final_boxes(model, strides=self.strides, max_boxes=self.max_boxes)
        return provenance.hand_on(model, deployed)

    def picture(self, model: keras.Model, data: ImageData, path: str | Path) -> Path:
        """Draws images with the boxes of their objects and those that the model finds."""
        check_data(self.name, self.class_names, data)
        images, objects, found = next(predict_batches(self.deployed(model), data, batch_size=pictures.MOST))
        return pictures.picture_of_boxes(images, objects, found, self.class_names, path)


def batch_targets(boxes_xyxy: np.ndarray, labels: np.ndarray, where: np.ndarray) -> dict[str, np.ndarray]:
    """What the places of a detector should answer for a batch, as its losses take it.

    Args:
        boxes_xyxy: `(B, M, 4)`.
        labels: `(B, M)`, -1 where there is no box.
        where: What `boxes.places` gives, `(N, 3)`.

    Returns:
        All float32: `class_logits` `(B, N, 1)`, the label or `boxes.NOTHING`; `sides` `(B, N, 5)`, the
        distances and the centerness; `centerness_logits` `(B, N, 1)`.
    """
    found = [
        boxes.place_targets(corners[there], some[there], where)
        for corners, some, there in zip(boxes_xyxy, labels, labels >= 0, strict=True)
    ]
    classes, sides, centerness = (
        np.stack([getattr(one, part) for one in found]).astype(np.float32)
        for part in ("classes", "sides", "centerness")
    )
    centerness = centerness[..., None]
    return {
        "class_logits": classes[..., None],
        "sides": np.concatenate([sides, centerness], axis=-1),
        "centerness_logits": centerness,
    }
