"""Opens a TFDS builder for a task: which of its features are the image and the targets, and their shapes."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from l2zoo.data import splits as slices
from l2zoo.data.images import ImageData
from l2zoo.data.sources import catalog, image_files, reading
from l2zoo.data.sources.collecting import Reader
from l2zoo.data.targets import boxes, labels, masks, unlabelled
from l2zoo.data.targets.targets import FeatureKind

_FINDERS: dict[str, Any] = {
    "classification": labels.find,
    "segmentation": masks.find,
    "detection": boxes.find,
}
_WORDS = {
    "classification": "one 8-bit image and one class label an example",
    "segmentation": "one 8-bit image and one mask of known classes an example",
    "detection": "one 8-bit image and one sequence of boxes with classes an example",
    "generation": "one 8-bit image an example",
}
# Of data sets whose builder names none.
_LICENSES = {"mnist": "CC BY-SA 3.0, as the documentation of keras.datasets.mnist says"}


def from_builder(
    builder: Any,
    name: str,
    split: str,
    *,
    task: str = "classification",
    image_size: tuple[int, int] | None,
    sizes: dict[Path, tuple[int, int]] | None = None,
) -> ImageData:
    """The images of a split of a prepared builder.

    Args:
        builder: A prepared `tfds.core.DatasetBuilder`.
        name: What to call the data.
        split: A split or slice of it.
        task: What the targets are for. For generation they are classes, as in classification, if there are
            such.
        image_size: `(H, W)` to resize to, or `None`.
        sizes: `(H, W)` of each image file, where there are files.

    Raises:
        ValueError: The split is not there or empty, the features are not those of the task, or the sizes
            differ and no `image_size` is given.
    """
    num_examples = count(builder, split)
    image_key, kind = _found(builder, split, task)
    height, width, channels = builder.info.features[image_key].shape
    source = reading.BuilderSource(
        builder, split, image_key, kind, (height, width, channels), files=tuple(sizes or ())
    )
    if image_size is not None:
        shape = (*image_size, channels)
    elif sizes:
        shape = (*image_files.shared_size(sizes), channels)
    elif None in (height, width):
        shape = source.common_shape()
    else:
        shape = (height, width, channels)
    return ImageData(
        name=name,
        split=split,
        task=kind.task,
        num_examples=num_examples,
        num_classes=len(kind.class_names),
        class_names=kind.class_names,
        image_shape=shape,
        dtype=source.dtype,
        source=dataclasses.replace(source, image_shape=shape, resize=shape[:2] != (height, width)),
        license=license_of(builder),
        parts=tuple(slices.pieces(split, builder.info.splits)),
    )


def license_of(builder: Any) -> str:
    """What is said of the license of a builder's data, by the builder first; or an empty string."""
    return builder.info.redistribution_info.license.strip() or _LICENSES.get(builder.name, "")


def count(builder: Any, split: str, *, words: str = "images") -> int:
    """The number of examples in a split of a builder, at least 1.

    Args:
        builder: A prepared `tfds.core.DatasetBuilder`.
        split: A split or slice of it.
        words: What an example is.

    Raises:
        ValueError: The split is not there or empty.
    """
    splits = builder.info.splits
    try:
        found = splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"`split` must be {' or '.join(splits)}, or a slice such as 'train[:80%]', got split={split!r}."
        ) from error
    if not found:
        raise ValueError(f"There are no {words} in split={split!r} of {builder.name}.")
    return found


def _found(builder: Any, split: str, task: str) -> tuple[str, FeatureKind]:
    """The name of the image and the targets of a task among the features of a builder."""
    if task == "generation":
        found = labels.find(builder) or unlabelled.find(builder)
    else:
        found = _FINDERS[task](builder)
    if found is None:
        others = [other for other, find in _FINDERS.items() if find(builder)]
        others = others or ["generation"] * (unlabelled.find(builder) is not None)
        step = (
            f"Pass task={' or '.join(map(repr, others))}"
            if others
            else "Pass what you want of it as arrays (x, y)"
        )
        raise ValueError(
            f"{builder.name} is not {_WORDS[task]}, as task={task!r} needs: its features are "
            f"{', '.join(sorted(builder.info.features))}. {step}."
        )
    image_key, kind = found
    if isinstance(kind, boxes.ObjectsFeature):
        kind = _counted(builder, split, kind)
    return image_key, kind


def _counted(builder: Any, split: str, objects: boxes.ObjectsFeature) -> boxes.ObjectsFeature:
    """The objects with the most that an image of any split has, so that all splits are padded alike.

    Raises:
        ValueError: No image of the split has any, as in a test set whose objects are kept secret.
    """
    most = _most(str(builder.data_dir), objects)
    if not any(most.get(name, 1) for name in slices.names(split)):
        raise ValueError(f"{builder.name} {split} has images without objects only: choose another split.")
    return dataclasses.replace(objects, most=max(most.values()))


@functools.cache
def _most(data_dir: str, objects: boxes.ObjectsFeature) -> dict[str, int]:
    """The most objects that an image has, for each split of a prepared data set.

    All examples are read for it, once in a process, but no image is decoded.
    """
    import tensorflow as tf

    builder = catalog.import_tfds().builder_from_directory(data_dir)
    most = {}
    for split in builder.info.splits:
        stored = reading.examples(builder, split).map(objects.stored)
        counts = stored.map(lambda some: tf.shape(some["labels"])[0]).batch(4096)
        reader = Reader(reading.words(builder, split))
        most[split] = max([0, *(int(some.max()) for some in reader.arrays_of(counts))])
    return most
