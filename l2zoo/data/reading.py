"""Reads labelled images from a TFDS builder: encoded first, so that shuffling and choosing are cheap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data import catalog, folders
from l2zoo.data.checks import check_images
from l2zoo.data.images import ImageData
from l2zoo.data.resizing import resized

if TYPE_CHECKING:
    import tensorflow as tf

_CHUNK = 256


@dataclasses.dataclass(frozen=True, eq=False)
class BuilderSource:
    """The examples of one split of a TFDS builder.

    Attributes:
        builder: A prepared `tfds.core.DatasetBuilder`.
        split: A split or slice that the builder knows.
        keys: The names of the image and of the label among its features.
        image_shape: `(H, W, C)` of the images given out.
        resize: Whether images are resized to it; otherwise they must have it.
        table: For each position in the split its label, or -1 where the example is left out; `None`
            keeps everything as stored.
        files: The image files, where there are such, to name the one that cannot be read.
    """

    builder: Any
    split: str
    keys: tuple[str, str]
    image_shape: tuple[int, int, int]
    resize: bool = False
    table: np.ndarray | None = dataclasses.field(default=None, repr=False)
    files: Sequence[Path] = dataclasses.field(default=(), repr=False)

    @property
    def num_examples(self) -> int:
        """Examples that are kept."""
        stored = self.builder.info.splits[self.split].num_examples
        return stored if self.table is None else int((self.table >= 0).sum())

    @property
    def dtype(self) -> str:
        """Of the pixels, "uint8" or "float32"."""
        return np.dtype(self.builder.info.features[self.keys[0]].np_dtype).name

    def labels(self) -> np.ndarray:
        """All labels `(N,)`, int64, without decoding an image."""
        labels = self.records().map(lambda encoded, label: label).batch(4096)
        return np.concatenate([*self._read(labels), np.zeros(0, np.int64)])

    def select(self, kept: np.ndarray, labels: np.ndarray) -> BuilderSource:
        """The examples at the positions `kept`, with these labels."""
        table = np.full(self.num_examples, -1, np.int64)
        table[kept] = labels
        return dataclasses.replace(self, table=table)

    def records(self) -> tf.data.Dataset:
        """Pairs of an encoded image (bytes) and its label, in the order in which they are stored."""
        import tensorflow as tf

        image_key, label_key = self.keys
        stored = _encoded(self.builder, self.split, image_key)
        pairs = stored.map(lambda example: (example[image_key], tf.cast(example[label_key], tf.int64)))
        if self.table is None:
            return pairs
        table = tf.constant(self.table)
        chosen = pairs.enumerate().map(lambda position, pair: (pair[0], table[position]))
        return chosen.filter(lambda encoded, label: label >= 0)

    def decode(self, encoded: Any, label: Any) -> tuple[Any, Any]:
        """The image `(H, W, C)` of `dtype` and its label, which must not be the -1 of "unknown"."""
        import tensorflow as tf

        with tf.control_dependencies([tf.debugging.assert_non_negative(label, "A label is negative")]):
            return self._image(encoded), tf.identity(label)

    def _image(self, encoded: Any) -> Any:
        import tensorflow as tf

        image = self.builder.info.features[self.keys[0]].decode_example(encoded)
        if self.resize:
            image = resized(image, self.image_shape[:2])
        return tf.ensure_shape(image, self.image_shape)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images `(N, H, W, C)` and labels `(N,)`, checked."""
        import tensorflow as tf

        x = np.empty((self.num_examples, *self.image_shape), self.dtype)
        y = np.empty(self.num_examples, np.int64)
        filled = 0
        pairs = self.records().map(
            lambda encoded, label: (self._image(encoded), label), num_parallel_calls=tf.data.AUTOTUNE
        )
        for some_x, some_y in self._read(pairs.batch(_CHUNK).prefetch(2)):
            here = slice(filled, filled + len(some_y))
            x[here], y[here] = some_x, some_y
            filled = here.stop
        if filled != len(y):
            raise ValueError(f"{self._words} holds {filled} examples, but {len(y)} are announced: {_AGAIN}")
        check_images(x, y, num_classes=self.builder.info.features[self.keys[1]].num_classes)
        return x, y

    def common_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of all images, where the builder does not announce it.

        Raises:
            ValueError: Two images differ in size.
        """
        feature = self.builder.info.features[self.keys[0]]
        first: tuple[int, int, int] | None = None
        images = self.records().map(lambda encoded, label: feature.decode_example(encoded))
        for position, image in enumerate(self._read(images)):
            first = first or image.shape
            if image.shape != first:
                raise ValueError(
                    f"The images of {self._words} differ in size: image 0 is {first}, image {position} is "
                    f"{image.shape} (H, W, C). Pass image_size=(H, W) to resize them."
                )
        if first is None:
            raise ValueError(f"There are no images in {self._words}.")
        return first

    def _read(self, dataset: tf.data.Dataset) -> Any:
        import tensorflow as tf

        try:
            yield from dataset.as_numpy_iterator()
        except tf.errors.OpError as error:
            for file in self.files:
                folders.check_decodes(file)
            reason = error.message.split("\n")[0]
            raise ValueError(f"{self._words} cannot be read ({reason}): {_AGAIN}") from error

    @property
    def _words(self) -> str:
        return f"{self.builder.name} {self.split} in {self.builder.data_dir}"


_AGAIN = "remove the folder and prepare it again, or repair the data."


def _encoded(builder: Any, split: str, image_key: str) -> tf.data.Dataset:
    """Stored examples with the image not decoded, in a fixed order."""
    tfds = catalog.import_tfds()
    options = {
        "decoders": {image_key: tfds.decode.SkipDecoding()},
        "read_config": tfds.ReadConfig(try_autocache=False),  # `ImageData` keeps what fits
    }
    if not isinstance(builder, tfds.ImageFolder):
        return builder.as_dataset(split=split, **options)
    # ImageFolder knows whole splits only: cut its slices here, after TFDS's own reading of the words.
    dataset = None
    for part in tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits):
        whole = builder.as_dataset(split=part.splitname, **options)
        start = part.from_ or 0
        stop = builder.info.splits[part.splitname].num_examples if part.to is None else part.to
        piece = whole.skip(start).take(stop - start)
        dataset = piece if dataset is None else dataset.concatenate(piece)
    return dataset


def from_builder(
    builder: Any,
    name: str,
    split: str,
    *,
    image_size: tuple[int, int] | None,
    sizes: dict[Path, tuple[int, int]] | None = None,
) -> ImageData:
    """The images of a split of a prepared builder.

    Args:
        builder: A prepared `tfds.core.DatasetBuilder`.
        name: What to call the data.
        split: A split or slice of it.
        image_size: `(H, W)` to resize to, or `None`.
        sizes: `(H, W)` of each image file, where there are files.

    Raises:
        ValueError: The split is not there or empty, the features are not an image and a class label,
            or the sizes differ and no `image_size` is given.
    """
    num_examples = _count(builder, split)
    keys = _image_and_label(builder)
    height, width, channels = builder.info.features[keys[0]].shape
    files = tuple(sizes or ())
    source = BuilderSource(builder, split, keys, (height, width, channels), files=files)
    if image_size is not None:
        shape = (*image_size, channels)
    elif sizes:
        shape = (*folders.shared_size(sizes), channels)
    elif None in (height, width):
        shape = source.common_shape()
    else:
        shape = (height, width, channels)
    names = builder.info.features[keys[1]].names
    return ImageData(
        name=name,
        split=split,
        num_examples=num_examples,
        num_classes=len(names),
        class_names=tuple(names),
        image_shape=shape,
        dtype=source.dtype,
        source=dataclasses.replace(source, image_shape=shape, resize=shape[:2] != (height, width)),
    )


def _count(builder: Any, split: str) -> int:
    splits = builder.info.splits
    try:
        count = splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"`split` must be {' or '.join(splits)}, or a slice such as 'train[:80%]', got split={split!r}."
        ) from error
    if not count:
        raise ValueError(f"There are no images in split={split!r} of {builder.name}.")
    return count


def _image_and_label(builder: Any) -> tuple[str, str]:
    """The names of the image and the label: those that TFDS supervises with, or the only ones there are."""
    features, tfds = builder.info.features, catalog.import_tfds()
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image) and feature.np_dtype in (np.uint8, np.float32)
    ]
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    pairs = [(image, label) for image in images for label in labels]
    supervised = builder.info.supervised_keys
    if supervised in pairs:
        return supervised
    if len(pairs) == 1:
        return pairs[0]
    raise ValueError(
        f"{builder.name} is not one 8-bit image and one class label an example: its features are "
        f"{', '.join(sorted(features))}. Pass what you want of it as arrays (x, y)."
    )
