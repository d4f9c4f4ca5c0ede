"""Images and targets of a TFDS builder: encoded first, so that shuffling and choosing are cheap."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data.batching import WORKERS
from l2zoo.data.images import ImageData
from l2zoo.data.preprocessing.resizing import fit
from l2zoo.data.sources import tfds, tfds_features
from l2zoo.data.sources.reading import Reader
from l2zoo.data.splits import slices
from l2zoo.data.targets.kind import Targets

if TYPE_CHECKING:
    import tensorflow as tf


def from_builder(
    builder: Any,
    name: str,
    split: str,
    *,
    task: str = "classification",
    image_size: tuple[int, int] | None,
    aspect: str = "stretch",
) -> ImageData:
    """The images of a split of a prepared builder.

    Args:
        builder: A prepared `tfds.core.DatasetBuilder`.
        name: What to call the data.
        split: A split or slice of it.
        task: What the targets are for. For generation they are classes, as in classification, if there are
            such.
        image_size: `(H, W)` to resize to, or `None`.
        aspect: What of an image is resized.

    Raises:
        ValueError: The split is not there or empty, the features are not those of the task, or the sizes
            differ and no `image_size` is given.
    """
    num_examples = tfds.count(builder, split)
    image_key, kind = tfds_features.find(builder, task)
    if isinstance(kind, tfds_features.ObjectsFeature):
        kind = _count_objects(builder, split, kind)
    height, width, channels = shape = builder.info.features[image_key].shape
    source = BuilderSource(builder, split, image_key, kind, shape, aspect)
    if image_size is not None:
        shape = (*image_size, channels)
    elif None in (height, width):
        shape = source.common_shape()
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
        license=tfds.license_of(builder),
        parts=tuple(slices.pieces(split, builder.info.splits)),
        aspect=aspect,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class BuilderSource:
    """The examples of one split of a TFDS builder.

    Attributes:
        builder: A prepared `tfds.core.DatasetBuilder`.
        split: A split or slice that the builder knows.
        image_key: The name of the image among its features.
        kind: The targets among them.
        image_shape: `(H, W, C)` of the images given out.
        aspect: What of an image is resized.
        resize: Whether images are resized to it; otherwise they must have it.
        positions: Ascending positions in the split of the examples that are kept; `None` keeps them all.
        other_labels: Their labels `(N,)`, where they are not to be as stored.
    """

    builder: Any
    split: str
    image_key: str
    kind: tfds_features.FeatureKind
    image_shape: tuple[int, int, int]
    aspect: str
    resize: bool = False
    positions: np.ndarray | None = dataclasses.field(default=None, repr=False)
    other_labels: np.ndarray | None = dataclasses.field(default=None, repr=False)

    @property
    def num_examples(self) -> int:
        """Examples that are kept."""
        return tfds.count(self.builder, self.split) if self.positions is None else len(self.positions)

    @property
    def dtype(self) -> str:
        """Of the pixels, "uint8" or "float32"."""
        return np.dtype(self.builder.info.features[self.image_key].np_dtype).name

    def labels(self) -> np.ndarray:
        """All labels `(N,)`, int64, without decoding an image."""
        stored = self.records().map(lambda encoded, label: label).batch(4096)
        return np.concatenate([*self._reader.iterate(stored), np.zeros(0, np.int64)])

    def select(self, positions: np.ndarray, labels: np.ndarray | None = None) -> BuilderSource:
        if labels is None and self.other_labels is not None:
            labels = self.other_labels[positions]
        if self.positions is not None:
            positions = self.positions[positions]
        return dataclasses.replace(self, positions=positions, other_labels=labels)

    def records(self) -> tf.data.Dataset:
        """Pairs of an encoded image (bytes) and its target, in the order in which they are stored."""
        stored = tfds.examples(self.builder, self.split)
        pairs = stored.map(lambda example: (example[self.image_key], self.kind.stored(example)))
        return pairs if self.positions is None else self._select_records(pairs)

    def _select_records(self, pairs: tf.data.Dataset) -> tf.data.Dataset:
        import tensorflow as tf

        rows = np.full(tfds.count(self.builder, self.split), -1, np.int64)
        rows[self.positions] = np.arange(self.num_examples)
        rows = tf.constant(rows)
        chosen = pairs.enumerate().filter(lambda position, pair: rows[position] >= 0)
        if self.other_labels is None:
            return chosen.map(lambda position, pair: pair)
        labels = tf.constant(self.other_labels)
        return chosen.map(lambda position, pair: (pair[0], labels[rows[position]]))

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """The image `(H, W, C)` of `dtype` and its target, checked as far as a stream can."""
        image, target = self._decode(encoded, stored)
        return image, self.kind.guard(target)

    def _decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        image = self.builder.info.features[self.image_key].decode_example(encoded)
        target = self.kind.decode(stored, tf.shape(image)[:2], self.image_shape[:2], self.aspect)
        if self.resize:
            image = fit(image, self.image_shape[:2], self.aspect)
        return tf.ensure_shape(image, self.image_shape), target

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """All images `(N, H, W, C)` and targets, checked."""
        pairs = self.records().map(self._decode, num_parallel_calls=WORKERS)
        return self._reader.collect(pairs, self.kind, self.num_examples, self.image_shape, self.dtype)

    def common_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of all images, where the builder does not announce it.

        Raises:
            ValueError: Two images differ in size.
        """
        feature = self.builder.info.features[self.image_key]
        first: tuple[int, int, int] | None = None
        images = self.records().map(lambda encoded, stored: feature.decode_example(encoded))
        for position, image in enumerate(self._reader.iterate(images)):
            first = first or image.shape
            if image.shape != first:
                raise ValueError(
                    f"The images of {self._reader.words} differ in size: image 0 is {first}, image "
                    f"{position} is {image.shape} (H, W, C). Pass image_size=(H, W) to resize them."
                )
        if first is None:
            raise ValueError(f"There are no images in {self._reader.words}.")
        return first

    @property
    def _reader(self) -> Reader:
        return Reader(tfds.describe(self.builder, self.split))


def _count_objects(
    builder: Any, split: str, objects: tfds_features.ObjectsFeature
) -> tfds_features.ObjectsFeature:
    """The objects with the most that an image of any split has, so that all splits are padded alike.

    Raises:
        ValueError: No image of the split has any, as in a test set whose objects are kept secret.
    """
    most = _most_objects(str(builder.data_dir), objects)
    if not any(most.get(name, 1) for name in slices.names(split)):
        raise ValueError(f"{builder.name} {split} has images without objects only: choose another split.")
    return dataclasses.replace(objects, most=max(most.values()))


@functools.cache
def _most_objects(data_dir: str, objects: tfds_features.ObjectsFeature) -> dict[str, int]:
    """The most objects that an image has, for each split of a prepared data set.

    All examples are read for it, once in a process, but no image is decoded.
    """
    import tensorflow as tf

    builder = tfds.import_tfds().builder_from_directory(data_dir)
    most = {}
    for split in builder.info.splits:
        stored = tfds.examples(builder, split).map(objects.stored)
        counts = stored.map(lambda some: tf.shape(some["labels"])[0]).batch(4096)
        reader = Reader(tfds.describe(builder, split))
        most[split] = max([0, *(int(some.max()) for some in reader.iterate(counts))])
    return most
