"""The targets of detection: `boxes_xyxy` `(N, M, 4)`, float32 in pixels, and their `labels` `(N, M)`, int64.

Every image has M rows, as many as the image with the most objects needs: rows without an object come last and
hold zeros and the label -1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from l2zoo.data.sources import catalog, features

NOTHING = -1


@dataclasses.dataclass(frozen=True)
class _Boxes:
    """What boxes have in common, wherever they are kept.

    Attributes:
        class_names: K names.
        most: M, at least 1.
    """

    class_names: tuple[str, ...] = dataclasses.field(repr=False)
    most: int
    task: ClassVar[str] = "detection"

    def guarded(self, target: Any) -> Any:
        """The boxes, none of which may have the -1 of "unknown" for a label."""
        import tensorflow as tf

        boxes = target["boxes_xyxy"]
        there = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
        known = tf.reduce_all(there == (target["labels"] >= 0))
        with tf.control_dependencies([tf.debugging.Assert(known, ["A box has no label, or a label no box"])]):
            return {name: tf.identity(part) for name, part in target.items()}

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
        return {
            "boxes_xyxy": np.empty((num_examples, self.most, 4), np.float32),
            "labels": np.empty((num_examples, self.most), np.int64),
        }


@dataclasses.dataclass(frozen=True)
class PixelBoxes(_Boxes):
    """Boxes that are padded already, in pixels of the image as it is stored."""

    def decode(self, stored: Any, before: Any, after: tuple[int, int]) -> Any:
        import tensorflow as tf

        factor = tf.constant(after, tf.float32) / tf.cast(before, tf.float32)
        return {"boxes_xyxy": stored["boxes_xyxy"] * _per_side(factor), "labels": stored["labels"]}


@dataclasses.dataclass(frozen=True)
class ObjectsFeature(_Boxes):
    """A sequence of objects of a TFDS builder, each with a `BBoxFeature` and a `ClassLabel`.

    Objects that stand for a crowd, and boxes without area, are left out. Those that VOC calls difficult are
    objects like others.

    Attributes:
        key: Its name among the features.
        bbox: The name of the box in it.
        label: The name of the class in it.
        crowd: The name of the mark of a crowd, where there is one.
    """

    key: str
    bbox: str
    label: str
    crowd: str | None = None

    def stored(self, example: Any) -> Any:
        """Boxes `(n, 4)` as shares of the image's sides, in the order of `boxes_xyxy`, and labels `(n,)`."""
        import tensorflow as tf

        objects = example[self.key]
        boxes = tf.gather(objects[self.bbox], [1, 0, 3, 2], axis=1)  # TFDS has (top, left, bottom, right)
        kept = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
        if self.crowd:
            kept &= ~objects[self.crowd]
        return {"boxes_xyxy": boxes[kept], "labels": tf.cast(objects[self.label][kept], tf.int64)}

    def decode(self, stored: Any, before: Any, after: tuple[int, int]) -> Any:
        import tensorflow as tf

        boxes = stored["boxes_xyxy"] * _per_side(tf.constant(after, tf.float32))
        missing = self.most - tf.shape(boxes)[0]
        padded = tf.pad(boxes, [[0, missing], [0, 0]])
        numbers = tf.pad(stored["labels"], [[0, missing]], constant_values=NOTHING)
        return {
            "boxes_xyxy": tf.ensure_shape(padded, (self.most, 4)),
            "labels": tf.ensure_shape(numbers, (self.most,)),
        }


def find(builder: Any) -> tuple[str, ObjectsFeature] | None:
    """The names of the image and its objects, if one feature is objects; `most` is yet to be counted."""
    sequence = catalog.import_tfds().features.Sequence
    known = builder.info.features
    found = [
        objects
        for key in features.keys_of(known, sequence)
        if (objects := _objects(key, known[key].feature)) is not None
    ]
    image = features.main_image(builder)
    return None if image is None or len(found) != 1 else (image, found[0])


def _objects(key: str, inner: Any) -> ObjectsFeature | None:
    kinds = catalog.import_tfds().features
    if not isinstance(inner, kinds.FeaturesDict):
        return None
    boxes = features.keys_of(inner, kinds.BBoxFeature)
    classes = features.keys_of(inner, kinds.ClassLabel)
    if "label" in classes:  # beside poses and the like
        classes = ["label"]
    if len(boxes) != 1 or len(classes) != 1 or not _is_relative(inner[boxes[0]]):
        return None
    crowd = "is_crowd" if "is_crowd" in inner else None
    names = tuple(inner[classes[0]].names)
    return ObjectsFeature(names, 1, key=key, bbox=boxes[0], label=classes[0], crowd=crowd)


def _is_relative(feature: Any) -> bool:
    """Whether a box is kept as TFDS does by default: (top, left, bottom, right) as shares of the sides."""
    return getattr(feature.bbox_format, "value", None) == "REL_YXYX"


def _per_side(height_width: Any) -> Any:
    """`(H, W)` as `(W, H, W, H)`, for (left, top, right, bottom)."""
    import tensorflow as tf

    return tf.gather(height_width, [1, 0, 1, 0])


def scaled(boxes_xyxy: np.ndarray, before: tuple[int, int], after: tuple[int, int]) -> np.ndarray:
    """Boxes `(..., 4)` of images of the size `before` `(H, W)` in those of the size `after`; float32."""
    factor = np.divide(after, before)[[1, 0, 1, 0]]
    return (boxes_xyxy * factor).astype(np.float32)


def arranged(boxes_xyxy: Any, numbers: Any) -> dict[str, np.ndarray]:
    """Boxes and labels as padded arrays: arrays as they are, and lists of an array an image padded.

    Raises:
        ValueError: An image has another number of labels than of boxes, or its boxes are not `(n, 4)`.
    """
    if isinstance(boxes_xyxy, np.ndarray) and boxes_xyxy.dtype != object:
        return {"boxes_xyxy": boxes_xyxy, "labels": np.asarray(numbers)}
    if len(boxes_xyxy) != len(numbers):
        raise ValueError(
            "`boxes_xyxy` and `labels` must be lists with an array for every image, got lengths "
            f"{len(boxes_xyxy)} and {len(numbers)}."
        )
    return padded([np.asarray(some) for some in boxes_xyxy], [np.asarray(some) for some in numbers])


def padded(
    boxes_xyxy: Sequence[np.ndarray], numbers: Sequence[np.ndarray], *, most: int = 1
) -> dict[str, np.ndarray]:
    """Boxes `(n, 4)` and labels `(n,)` of each image as arrays of M rows an image: the largest n, or more."""
    most = max([most, *(some.size for some in numbers)])
    whole = np.zeros((len(numbers), most, 4), np.result_type(np.float32, *boxes_xyxy[:1]))
    kept = np.full(
        (len(numbers), most), NOTHING, np.result_type(np.int64, *(some for some in numbers if some.size))
    )
    for i, (some, theirs) in enumerate(zip(boxes_xyxy, numbers, strict=True)):
        if not theirs.size and not some.size:
            continue
        if some.shape != (theirs.size, 4) or theirs.ndim != 1:
            raise ValueError(
                "`boxes_xyxy` must have shape (n, 4) and `labels` (n,) for every image, got "
                f"{some.shape} and {theirs.shape} for image {i}."
            )
        whole[i, : theirs.size], kept[i, : theirs.size] = some, theirs
    return {"boxes_xyxy": whole, "labels": kept}
