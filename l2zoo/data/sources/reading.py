"""Reads images and targets from a TFDS builder: encoded first, so that shuffling and choosing are cheap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data import splits
from l2zoo.data.batching import WORKERS
from l2zoo.data.resizing import resized
from l2zoo.data.sources import catalog, features
from l2zoo.data.sources.collecting import Reader
from l2zoo.data.targets.targets import FeatureKind, Targets

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class BuilderSource:
    """The examples of one split of a TFDS builder.

    Attributes:
        builder: A prepared `tfds.core.DatasetBuilder`.
        split: A split or slice that the builder knows.
        image_key: The name of the image among its features.
        kind: The targets among them.
        image_shape: `(H, W, C)` of the images given out.
        resize: Whether images are resized to it; otherwise they must have it.
        kept: Ascending positions in the split of the examples that are kept; `None` keeps them all.
        changed: Their labels `(N,)`, where they are not to be as stored.
        files: The image files, where there are such, to name the one that cannot be read.
    """

    builder: Any
    split: str
    image_key: str
    kind: FeatureKind
    image_shape: tuple[int, int, int]
    resize: bool = False
    kept: np.ndarray | None = dataclasses.field(default=None, repr=False)
    changed: np.ndarray | None = dataclasses.field(default=None, repr=False)
    files: Sequence[Path] = dataclasses.field(default=(), repr=False)

    @property
    def num_examples(self) -> int:
        """Examples that are kept."""
        return self.builder.info.splits[self.split].num_examples if self.kept is None else len(self.kept)

    @property
    def dtype(self) -> str:
        """Of the pixels, "uint8" or "float32"."""
        return np.dtype(self.builder.info.features[self.image_key].np_dtype).name

    def labels(self) -> np.ndarray:
        """All labels `(N,)`, int64, without decoding an image."""
        stored = self.records().map(lambda encoded, label: label).batch(4096)
        return np.concatenate([*self._reader.arrays_of(stored), np.zeros(0, np.int64)])

    def select(self, kept: np.ndarray, labels: np.ndarray | None = None) -> BuilderSource:
        """The examples at the positions `kept`, with these labels if there are any."""
        if labels is None and self.changed is not None:
            labels = self.changed[kept]
        return dataclasses.replace(self, kept=kept if self.kept is None else self.kept[kept], changed=labels)

    def records(self) -> tf.data.Dataset:
        """Pairs of an encoded image (bytes) and its target, in the order in which they are stored."""
        stored = examples(self.builder, self.split)
        pairs = stored.map(lambda example: (example[self.image_key], self.kind.stored(example)))
        return pairs if self.kept is None else self._chosen(pairs)

    def _chosen(self, pairs: tf.data.Dataset) -> tf.data.Dataset:
        import tensorflow as tf

        places = np.full(self.builder.info.splits[self.split].num_examples, -1, np.int64)
        places[self.kept] = np.arange(self.num_examples)
        places = tf.constant(places)
        chosen = pairs.enumerate().filter(lambda position, pair: places[position] >= 0)
        if self.changed is None:
            return chosen.map(lambda position, pair: pair)
        changed = tf.constant(self.changed)
        return chosen.map(lambda position, pair: (pair[0], changed[places[position]]))

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """The image `(H, W, C)` of `dtype` and its target, checked as far as a stream can."""
        image, target = self._decoded(encoded, stored)
        return image, self.kind.guarded(target)

    def _decoded(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        image = self.builder.info.features[self.image_key].decode_example(encoded)
        target = self.kind.decode(stored, tf.shape(image)[:2], self.image_shape[:2])
        if self.resize:
            image = resized(image, self.image_shape[:2])
        return tf.ensure_shape(image, self.image_shape), target

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """All images `(N, H, W, C)` and targets, checked."""
        pairs = self.records().map(self._decoded, num_parallel_calls=WORKERS)
        return self._reader.collected(pairs, self.kind, self.num_examples, self.image_shape, self.dtype)

    def common_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of all images, where the builder does not announce it.

        Raises:
            ValueError: Two images differ in size.
        """
        feature = self.builder.info.features[self.image_key]
        first: tuple[int, int, int] | None = None
        images = self.records().map(lambda encoded, stored: feature.decode_example(encoded))
        for position, image in enumerate(self._reader.arrays_of(images)):
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
        return Reader(words(self.builder, self.split), self.files)


def words(builder: Any, split: str) -> str:
    """What to call a split of a builder, with the place where it is."""
    return f"{builder.name} {split} in {builder.data_dir}"


def examples(builder: Any, split: str) -> tf.data.Dataset:
    """Stored examples with no image decoded, in a fixed order."""
    tfds = catalog.import_tfds()
    images = features.keys_of(builder.info.features, tfds.features.Image)
    decoders = {key: tfds.decode.SkipDecoding() for key in images}
    config = tfds.ReadConfig(
        try_autocache=False,  # `ImageData` keeps what fits
        num_parallel_calls_for_decode=WORKERS,
        num_parallel_calls_for_interleave_files=WORKERS,
    )
    if not isinstance(builder, tfds.ImageFolder):
        return builder.as_dataset(split=split, decoders=decoders, read_config=config)
    # ImageFolder knows whole splits only: cut its slices here.
    dataset = None
    for name, start, stop in splits.pieces(split, builder.info.splits):
        whole = builder.as_dataset(split=name, decoders=decoders, read_config=config)
        piece = whole.skip(start).take(stop - start)
        dataset = piece if dataset is None else dataset.concatenate(piece)
    return dataset
