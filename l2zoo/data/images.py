"""`ImageData`: checked images with their targets, as whole arrays or as batches in a reproducible order."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from l2zoo.data import batching
from l2zoo.data.targets.kind import Targets, take

if TYPE_CHECKING:
    import tensorflow as tf


class Source(batching.Records, Protocol):
    """Where the examples of an `ImageData` come from."""

    def labels(self) -> np.ndarray:
        """All labels `(N,)`, int64, without decoding an image. Only for classification."""

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """All images `(N, H, W, C)` and targets, checked, in the order of the records."""

    def select(self, positions: np.ndarray, labels: np.ndarray | None = None) -> Source:
        """The examples at some positions (ascending), with these labels if there are any."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples that are arrays already."""

    x: np.ndarray = dataclasses.field(repr=False)
    y: Targets = dataclasses.field(repr=False)

    def labels(self) -> np.ndarray:
        return cast(np.ndarray, self.y)

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """The arrays themselves."""
        return self.x, self.y

    def select(self, positions: np.ndarray, labels: np.ndarray | None = None) -> Arrays:
        x = self.x if len(positions) == len(self.x) else self.x[positions]
        return Arrays(x, take(self.y, positions) if labels is None else labels)

    def records(self) -> tf.data.Dataset:
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((self.x, self.y))

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """Nothing to decode."""
        return encoded, stored


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData(batching.Examples):
    """Images of one size with their targets; `l2zoo.data.load` makes it.

    `task` says what the targets are, in `arrays` (N) and in each batch of `batches` (B instead of N):

    - "classification": labels `(N,)`, int64 in `[0, K)`;
    - "segmentation": masks `(N, H, W)`, uint8: the class of every pixel, in `[0, K)`, or 255 where a pixel
      is not labelled. The background is a class where the data set has it;
    - "detection": a dict of `boxes_xyxy` `(N, M, 4)`, float32 in pixels of the images as they are given out
      (left, top, right, bottom; the last two exclusive), and `labels` `(N, M)`, int64 in `[0, K)`. M is
      what the image with the most objects needs, at least 1; an image with fewer ends in rows of zeros
      with the label -1, and may have none;
    - "generation": zeros `(N,)`, int64, as there are no classes: `num_classes` is 0;
    - "regression": numbers `(N,)` or `(N, D)`, float32; `num_classes` is 0;
    - "multilabel": several labels an image `(N, K)`, float32, each 0 or 1.

    Attributes:
        name: Name of the data set, such as "mnist".
        split: The split it was asked for, such as "train[:80%]".
        task: "classification", "segmentation", "detection", "generation", "regression" or "multilabel".
        num_examples: N.
        num_classes: K.
        class_names: K names.
        image_shape: `(H, W, C)`.
        dtype: Of the pixels, "uint8" or "float32"; they are in [0, 255].
        source: Where the examples come from.
        license: Of the data, in the words of its TFDS builder; empty where nobody says.
        parts: The split, in the data set's own terms: for each summand its name, the position of the first
            example and of the one after the last. Empty for arrays.
        groups: What each example belongs to `(N,)`, such as a patient, where that was said.
        holdout: Of data with one split only: the share that was held out of it as "test".
    """

    task: str
    num_examples: int
    num_classes: int
    class_names: tuple[str, ...] = dataclasses.field(repr=False)  # there may be thousands
    image_shape: tuple[int, int, int]
    dtype: str
    source: Source = dataclasses.field(repr=False)
    groups: np.ndarray | None = dataclasses.field(default=None, repr=False, kw_only=True)

    @property
    def in_memory(self) -> bool:
        """Whether the pixels are held in memory: they are arrays, or take at most `MEMORY_LIMIT` bytes."""
        return isinstance(self.source, Arrays) or self._bytes <= batching.MEMORY_LIMIT

    def arrays(self) -> tuple[np.ndarray, Any]:
        """All images and targets, read and checked once; later calls give the same arrays, not copies.

        Returns:
            Images `(N, H, W, C)` of `dtype` in [0, 255], and the targets of the task.

        Raises:
            ValueError: The images do not fit in `MEMORY_LIMIT`, or cannot be read, or fail
                `check_images`.
        """
        if not self.in_memory:
            step = "use batches(), or load it with `limit=` or a smaller `image_size=`"
            batching.check_memory(f"{self.name} {self.split}", self._bytes, step)
        return self._arrays

    def select(self, positions: np.ndarray, labels: np.ndarray | None = None) -> ImageData:
        """The examples at some positions.

        Args:
            positions: Ascending positions `(n,)`, at least one.
            labels: The labels they are to have `(n,)`, int64; `None` leaves them. Only for classification.
        """
        groups = None if self.groups is None else self.groups[positions]
        source = self.source.select(positions, labels)
        return dataclasses.replace(self, num_examples=len(positions), source=source, groups=groups)

    def _batches(self, order: batching.Order) -> tf.data.Dataset:
        if self.in_memory:
            return super()._batches(order)
        return batching.from_records(self.source, self.num_examples, order)

    @property
    def _bytes(self) -> int:
        image = math.prod(self.image_shape) * np.dtype(self.dtype).itemsize
        mask = math.prod(self.image_shape[:2]) if self.task == "segmentation" else 0
        return self.num_examples * (image + mask)

    @functools.cached_property
    def _arrays(self) -> tuple[np.ndarray, Any]:
        return self.source.arrays()

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process, perhaps on another machine, may not have the files: send the arrays.
        data = dataclasses.replace(self, source=Arrays(*self.arrays())) if self.in_memory else self
        return super(ImageData, data).__reduce__()
