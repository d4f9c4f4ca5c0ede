"""`ImageData`: checked images with their targets, as whole arrays or as batches in a reproducible order."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from l2zoo.data import batching
from l2zoo.data.targets.targets import Targets, rows

if TYPE_CHECKING:
    import tensorflow as tf

MEMORY_LIMIT = 4 * 2**30
"""Bytes of pixels and masks up to which data is read into memory once, not streamed in every epoch."""


class Source(batching.Records, Protocol):
    """Where the examples of an `ImageData` come from."""

    def labels(self) -> np.ndarray:
        """All labels `(N,)`, int64, without decoding an image. Only for classification."""

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """All images `(N, H, W, C)` and targets, checked, in the order of the records."""

    def select(self, kept: np.ndarray, labels: np.ndarray | None = None) -> Source:
        """The examples at the positions `kept` (ascending), with these labels if there are any."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples that are arrays already."""

    x: np.ndarray = dataclasses.field(repr=False)
    y: Targets = dataclasses.field(repr=False)

    def labels(self) -> np.ndarray:
        """All labels `(N,)`."""
        return cast(np.ndarray, self.y)

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """The arrays themselves."""
        return self.x, self.y

    def select(self, kept: np.ndarray, labels: np.ndarray | None = None) -> Arrays:
        """A copy of the examples at `kept`, with these labels if there are any."""
        x = self.x if len(kept) == len(self.x) else self.x[kept]
        return Arrays(x, rows(self.y, kept) if labels is None else labels)

    def records(self) -> tf.data.Dataset:
        """Pairs of image and target."""
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((self.x, self.y))

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """Nothing to decode."""
        return encoded, stored


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """Images of one size with their targets; `l2zoo.data.load` makes it.

    `task` says what the targets are, in `arrays` (N) and in each batch of `batches` (B instead of N):

    - "classification": labels `(N,)`, int64 in `[0, K)`;
    - "segmentation": masks `(N, H, W)`, uint8: the class of every pixel, in `[0, K)`, or 255 where a pixel
      is not labelled. The background is a class where the data set has it;
    - "detection": a dict of `boxes_xyxy` `(N, M, 4)`, float32 in pixels of the images as they are given out
      (left, top, right, bottom; the last two exclusive), and `labels` `(N, M)`, int64 in `[0, K)`. M is
      what the image with the most objects needs, at least 1; an image with fewer ends in rows of zeros
      with the label -1, and may have none;
    - "generation": zeros `(N,)`, int64, as there are no classes: `num_classes` is 0.

    Attributes:
        name: Name of the data set, such as "mnist".
        split: The split it was asked for, such as "train[:80%]".
        task: "classification", "segmentation", "detection" or "generation".
        num_examples: N.
        num_classes: K.
        class_names: K names.
        image_shape: `(H, W, C)`.
        dtype: Of the pixels, "uint8" or "float32"; they are in [0, 255].
        source: Where the examples come from.
        license: Of the data, in the words of its TFDS builder; empty where nobody says.
        parts: The split, in the data set's own terms: for each summand its name, the position of the first
            example and of the one after the last. Empty for arrays.
    """

    name: str
    split: str
    task: str
    num_examples: int
    num_classes: int
    class_names: tuple[str, ...] = dataclasses.field(repr=False)  # there may be thousands
    image_shape: tuple[int, int, int]
    dtype: str
    source: Source = dataclasses.field(repr=False)
    license: str = dataclasses.field(default="", repr=False)
    parts: tuple[tuple[str, int, int], ...] = dataclasses.field(default=(), repr=False)

    @property
    def in_memory(self) -> bool:
        """Whether the pixels are held in memory: they are arrays, or take at most `MEMORY_LIMIT` bytes."""
        return isinstance(self.source, Arrays) or self._bytes <= MEMORY_LIMIT

    def arrays(self) -> tuple[np.ndarray, Any]:
        """All images and targets, read and checked once; later calls give the same arrays, not copies.

        Returns:
            Images `(N, H, W, C)` of `dtype` in [0, 255], and the targets of the task.

        Raises:
            ValueError: The images do not fit in `MEMORY_LIMIT`, or cannot be read, or fail
                `check_images`.
        """
        if not self.in_memory:
            raise ValueError(
                f"{self.name} {self.split} takes {self._bytes / 2**30:.1f} GiB of pixels, more than the "
                f"{MEMORY_LIMIT / 2**30:g} GiB that are read into memory: use batches(), or load it with "
                "`limit=` or a smaller `image_size=`."
            )
        return self._arrays

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        start_epoch: int = 0,
        repeat: bool = False,
        drop_remainder: bool = False,
        deterministic: bool = True,
    ) -> tf.data.Dataset:
        """Pairs of images `(B, H, W, C)` and the targets of the task.

        The order of epoch `e` depends only on `seed` and `e`. With `repeat` the stream is that of the
        epochs `start_epoch`, `start_epoch + 1`, ... without end, so a run that resumes at epoch k sees
        what an uninterrupted run would have seen; without it, the one epoch `start_epoch`, the same
        each time the dataset is iterated. A batch never holds examples of two epochs.

        Data in memory is permuted as a whole and gathered by index; besides the arrays, one copy of them
        is held as tensors. Larger data is streamed from disk, and shuffled among `epochs.SHUFFLE_BUFFER`
        images.

        Args:
            batch_size: B, at least 1. The last batch of an epoch may be smaller.
            shuffle: Whether to shuffle, differently in every epoch.
            seed: Decides, with the epoch, the order.
            start_epoch: The first epoch, from 0.
            repeat: Whether later epochs follow without end.
            drop_remainder: Whether to drop a last batch that is not full.
            deterministic: Whether the order is exact; `False` may be faster and may swap batches.

        Returns:
            A `tf.data.Dataset` of known cardinality that prefetches.

        Raises:
            ValueError: A value out of range, or data that fails its checks.

        Example:
            >>> from l2zoo.data import load
            >>> data = load((np.zeros((10, 8, 8)), np.arange(10) % 2))
            >>> [len(labels) for images, labels in data.batches(4)]
            [4, 4, 2]
        """
        order = batching.Order(batch_size, shuffle, seed, start_epoch, repeat, drop_remainder, deterministic)
        if self.in_memory:
            return batching.from_memory(*self._tensors, order)
        return batching.from_records(self.source, self.num_examples, order)

    def steps_per_epoch(self, batch_size: int, *, drop_remainder: bool = False) -> int:
        """Batches that `batches` makes of one epoch: what Keras's `fit` needs beside an endless stream."""
        return batching.Order(batch_size, drop_remainder=drop_remainder).steps(self.num_examples)

    @property
    def _bytes(self) -> int:
        image = math.prod(self.image_shape) * np.dtype(self.dtype).itemsize
        mask = math.prod(self.image_shape[:2]) if self.task == "segmentation" else 0
        return self.num_examples * (image + mask)

    @functools.cached_property
    def _arrays(self) -> tuple[np.ndarray, Any]:
        return self.source.arrays()

    @functools.cached_property
    def _tensors(self) -> tuple[tf.Tensor, Any]:
        import tensorflow as tf

        with tf.device("CPU"):  # tf.data gathers on the CPU, and the accelerator's memory is the model's
            return tf.nest.map_structure(tf.convert_to_tensor, self.arrays())

    def __reduce__(self) -> tuple[type[ImageData], tuple[Any, ...]]:
        # Another process, perhaps on another machine, may not have the files: send the arrays.
        source = Arrays(*self.arrays()) if self.in_memory else self.source
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return ImageData, tuple({**values, "source": source}.values())
