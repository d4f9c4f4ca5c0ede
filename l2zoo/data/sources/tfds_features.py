"""Which features of a TFDS builder are the image and the targets of a task, and how they are read."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from l2zoo.data.sources.tfds import import_tfds, keys_of
from l2zoo.data.targets.boxes import NOTHING, Boxes, move_in_graph, per_side
from l2zoo.data.targets.kind import Kind
from l2zoo.data.targets.labels import Labels, NoLabels
from l2zoo.data.targets.masks import UNLABELLED, Masks

_WORDS = {
    "classification": "one 8-bit image and one class label an example",
    "segmentation": "one 8-bit image and one mask of known classes an example",
    "detection": "one 8-bit image and one sequence of boxes with classes an example",
    "generation": "one 8-bit image an example",
}


class FeatureKind(Kind, Protocol):
    """A kind of targets among the features of a TFDS builder."""

    def stored(self, example: Any) -> Any:
        """What `decode` takes, from an example whose images are still encoded."""


def find(builder: Any, task: str) -> tuple[str, FeatureKind]:
    """The name of the image and the targets of a task among the features of a builder.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        task: What the targets are for. For generation they are classes, if there are such. For detection,
            `ObjectsFeature.most` is yet to be counted.

    Raises:
        ValueError: The features are not those of the task.
    """
    if task == "generation":
        found = _find_label(builder) or _find_nothing(builder)
    else:
        found = _FINDERS[task](builder)
    if found is not None:
        return found
    others = [other for other, find_others in _FINDERS.items() if find_others(builder)]
    others = others or ["generation"] * (_find_nothing(builder) is not None)
    step = (
        f"Pass task={' or '.join(map(repr, others))}"
        if others
        else "Pass what you want of it as arrays (x, y)"
    )
    raise ValueError(
        f"{builder.name} is not {_WORDS[task]}, as task={task!r} needs: its features are "
        f"{', '.join(sorted(builder.info.features))}. {step}."
    )


# ---- The image ---------------------------------------------------------------------------------------------


def _image_keys(builder: Any) -> list[str]:
    """Names of the features that are images of 8-bit or float pixels."""
    images = keys_of(builder.info.features, import_tfds().features.Image)
    return [key for key in images if builder.info.features[key].np_dtype in (np.uint8, np.float32)]


def _main_image(builder: Any, *, besides: str = "") -> str | None:
    """The image that is looked at: the one TFDS supervises with, the only one, or the one called "image".

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        besides: An image that it is not.
    """
    found = [key for key in _image_keys(builder) if key != besides]
    supervised = builder.info.supervised_keys or ()
    for key in (*supervised[:1], "image"):
        if key in found:
            return key
    return found[0] if len(found) == 1 else None


# ---- Labels, or nothing ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class LabelFeature(Labels):
    """A `ClassLabel` of a TFDS builder.

    Attributes:
        key: Its name among the features.
    """

    key: str

    def stored(self, example: Any) -> Any:
        import tensorflow as tf

        return tf.cast(example[self.key], tf.int64)


def _find_label(builder: Any) -> tuple[str, LabelFeature] | None:
    """The names of the image and its label: those that TFDS supervises with, or the only ones there are."""
    known = builder.info.features
    classes = keys_of(known, import_tfds().features.ClassLabel)
    pairs = [(image, label) for image in _image_keys(builder) for label in classes]
    if builder.info.supervised_keys in pairs:
        pairs = [builder.info.supervised_keys]
    if len(pairs) != 1:
        return None
    image, label = pairs[0]
    return image, LabelFeature(tuple(known[label].names), label)


@dataclasses.dataclass(frozen=True)
class NoFeature(NoLabels):
    """No feature beside the image."""

    def stored(self, example: Any) -> Any:
        import tensorflow as tf

        return tf.constant(0, tf.int64)


def _find_nothing(builder: Any) -> tuple[str, NoFeature] | None:
    """The name of the image, if it is clear which one is looked at."""
    image = _main_image(builder)
    return None if image is None else (image, NoFeature())


# ---- Masks -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class MaskFeature(Masks):
    """An image of a TFDS builder whose pixels are classes.

    Attributes:
        key: Its name among the features.
        offset: The value of the first class; the values below it are "not labelled".
    """

    key: str
    offset: int = 0

    def stored(self, example: Any) -> Any:
        return example[self.key]

    def decode(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        import tensorflow as tf

        values = tf.io.decode_image(stored, channels=1, expand_animations=False)
        labelled = (values >= self.offset) & (values != UNLABELLED)
        mask = tf.where(labelled, values - tf.constant(self.offset, tf.uint8), np.uint8(UNLABELLED))
        return self.fit(mask, before, after, aspect)


# What the features of a builder do not say. The names are those of the data sets' documentation, in the order
# of the stored values.
_KNOWN = {
    "oxford_iiit_pet": MaskFeature(("pet", "background", "outline"), "segmentation_mask", offset=1),
    "l2zoo_scenes": MaskFeature(("background", *"0123456789"), "semantic_mask"),
}


def _find_mask(builder: Any) -> tuple[str, MaskFeature] | None:
    """The names of the image and its mask: those known of the data set, or the only `LabeledImage`."""
    known = builder.info.features
    kind = _KNOWN.get(builder.name)
    if kind is None:
        found = keys_of(known, import_tfds().features.LabeledImage)
        if len(found) != 1 or not known[found[0]].num_classes:
            return None
        kind = MaskFeature(tuple(known[found[0]].names), found[0])
    image = _main_image(builder, besides=kind.key)
    return None if image is None or kind.key not in known else (image, kind)


# ---- Boxes -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ObjectsFeature(Boxes):
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

    def decode(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        import tensorflow as tf

        if aspect != "stretch":
            pixels = stored["boxes_xyxy"] * per_side(tf.cast(before, tf.float32))
            stored = move_in_graph({**stored, "boxes_xyxy": pixels}, before, after, aspect)
            there = stored["labels"] != NOTHING
            stored = {name: part[there] for name, part in stored.items()}
            boxes = stored["boxes_xyxy"]
        else:
            boxes = stored["boxes_xyxy"] * per_side(tf.constant(after, tf.float32))
        missing = self.most - tf.shape(boxes)[0]
        padded = tf.pad(boxes, [[0, missing], [0, 0]])
        numbers = tf.pad(stored["labels"], [[0, missing]], constant_values=NOTHING)
        return {
            "boxes_xyxy": tf.ensure_shape(padded, (self.most, 4)),
            "labels": tf.ensure_shape(numbers, (self.most,)),
        }


def _find_objects(builder: Any) -> tuple[str, ObjectsFeature] | None:
    """The names of the image and its objects, if one feature is objects; `most` is yet to be counted."""
    sequence = import_tfds().features.Sequence
    known = builder.info.features
    found = [
        objects
        for key in keys_of(known, sequence)
        if (objects := _objects(key, known[key].feature)) is not None
    ]
    image = _main_image(builder)
    return None if image is None or len(found) != 1 else (image, found[0])


def _objects(key: str, inner: Any) -> ObjectsFeature | None:
    kinds = import_tfds().features
    if not isinstance(inner, kinds.FeaturesDict):
        return None
    boxes = keys_of(inner, kinds.BBoxFeature)
    classes = keys_of(inner, kinds.ClassLabel)
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


_FINDERS: dict[str, Any] = {
    "classification": _find_label,
    "segmentation": _find_mask,
    "detection": _find_objects,
}
