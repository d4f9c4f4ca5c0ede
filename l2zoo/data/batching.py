"""Batches in an order that a resumed run can join in the middle.

The order of an epoch depends only on the seed and the number of the epoch: never on TensorFlow's global
seed, on the batch size, or on the epochs before it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

MEMORY_LIMIT = 4 * 2**30
"""Bytes of pixels and masks up to which data is read into memory once, not streamed in every epoch."""

SHUFFLE_BUFFER = 8192
"""Encoded images that a stream holds to shuffle among; a stream of fewer is shuffled perfectly."""

WORKERS = min(os.cpu_count() or 1, 4)
"""Examples or batches that are made at the same time."""


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """What `ImageData` and `VideoData` share: where they are from, and batches of them.

    Attributes:
        name: Name of the data set, such as "mnist".
        split: The split it was asked for, such as "train[:80%]".
        license: Of the data, in the words of its TFDS builder; empty where nobody says.
        parts: The split, in the data set's own terms: for each summand its name, the position of the first
            example and of the one after the last, counted as they are stored. Empty for arrays.
        holdout: Of data with one split only: the share that was held out of it as "test".
    """

    name: str
    split: str
    license: str = dataclasses.field(default="", repr=False, kw_only=True)
    parts: tuple[tuple[str, int, int], ...] = dataclasses.field(default=(), repr=False, kw_only=True)
    holdout: float | None = dataclasses.field(default=None, repr=False, kw_only=True)

    if TYPE_CHECKING:  # a field of the one, computed by the other

        @property
        def num_examples(self) -> int:
            """N."""

    def arrays(self) -> Any:
        """All examples, as arrays."""
        raise NotImplementedError

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
        """Pairs of images `(B, H, W, C)` and the targets of the task; of a `VideoData`, its clips alone.

        The order of epoch `e` depends only on `seed` and `e`. With `repeat` the stream is that of the
        epochs `start_epoch`, `start_epoch + 1`, ... without end, so a run that resumes at epoch k sees
        what an uninterrupted run would have seen; without it, the one epoch `start_epoch`, the same
        each time the dataset is iterated. A batch never holds examples of two epochs.

        Data in memory is permuted as a whole and gathered by index; besides the arrays, one copy of them
        is held as tensors. Larger data is streamed from disk, and shuffled among `SHUFFLE_BUFFER` images.

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
            >>> from l2zoo.data import load, load_video
            >>> images = load((np.zeros((10, 8, 8)), np.arange(10) % 2))
            >>> [len(labels) for x, labels in images.batches(4)]
            [4, 4, 2]
            >>> videos = load_video(np.zeros((5, 8, 16, 16, 1), np.uint8))
            >>> [len(clips) for clips in videos.batches(2)]
            [2, 2, 1]
        """
        return self._batches(
            Order(batch_size, shuffle, seed, start_epoch, repeat, drop_remainder, deterministic)
        )

    def _batches(self, order: Order) -> tf.data.Dataset:
        return from_memory(self._tensors, order)

    def steps_per_epoch(self, batch_size: int, *, drop_remainder: bool = False) -> int:
        """Batches that `batches` makes of one epoch: what Keras's `fit` needs beside an endless stream."""
        return Order(batch_size, drop_remainder=drop_remainder).steps(self.num_examples)

    @functools.cached_property
    def _tensors(self) -> Any:
        import tensorflow as tf

        with tf.device("CPU"):  # tf.data gathers on the CPU, and the accelerator's memory is the model's
            return tf.nest.map_structure(tf.convert_to_tensor, self.arrays())

    def __reduce__(self) -> tuple[Any, ...]:
        # The fields alone: the tensors are a copy.
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return functools.partial(type(self), **values), ()


def check_memory(words: str, needed: int, step: str) -> None:
    """Raises a `ValueError` if so many bytes are more than are read into memory.

    Args:
        words: What to call the data.
        needed: Bytes of it.
        step: What to do about it.
    """
    if needed > MEMORY_LIMIT:
        raise ValueError(
            f"{words} takes {needed / 2**30:.1f} GiB of pixels, more than the {MEMORY_LIMIT / 2**30:g} GiB "
            f"that are read into memory: {step}."
        )


class Records(Protocol):
    """Examples that are cheap to hold and shuffle before they are decoded."""

    def records(self) -> tf.data.Dataset:
        """Pairs of an encoded image and its target as it is stored, in a fixed order."""

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """The image `(H, W, C)` and its target."""


@dataclasses.dataclass(frozen=True)
class Order:
    """How examples become batches.

    Attributes:
        batch_size: Images in a batch, at least 1.
        shuffle: Whether each epoch has its own order.
        seed: Decides, with the epoch, the order.
        start_epoch: The first epoch, from 0.
        repeat: Whether later epochs follow without end.
        drop_remainder: Whether the last batch of an epoch is dropped when it is not full.
        deterministic: Whether batches must come in order, even where out of order would be faster.
    """

    batch_size: int
    shuffle: bool = False
    seed: int = 0
    start_epoch: int = 0
    repeat: bool = False
    drop_remainder: bool = False
    deterministic: bool = True

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("start_epoch", 0)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"`{name}` must be an integer of at least {least}, got {name}={value!r}.")
        operator.index(self.seed)

    def steps(self, num_examples: int) -> int:
        """Batches in an epoch of `num_examples`."""
        full = num_examples / self.batch_size
        return math.floor(full) if self.drop_remainder else math.ceil(full)


def from_memory(tensors: Any, order: Order) -> tf.data.Dataset:
    """Gathers batches from a tensor `(N, ...)`, or from a nest of tensors of one length.

    Every epoch is a full permutation.
    """
    import tensorflow as tf

    num_examples = len(tf.nest.flatten(tensors)[0])
    positions = tf.range(num_examples, dtype=tf.int64)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        mine = positions
        if order.shuffle:
            mine = tf.random.experimental.stateless_shuffle(positions, seed=[order.seed, number])
        return tf.data.Dataset.from_tensor_slices(mine).batch(order.batch_size, order.drop_remainder)

    def gather(batch: tf.Tensor) -> Any:
        return tf.nest.map_structure(lambda part: tf.gather(part, batch), tensors)

    batches = _epochs(order).flat_map(epoch).map(gather, num_parallel_calls=WORKERS)
    return _finish(batches, num_examples, order)


def from_records(source: Records, num_examples: int, order: Order) -> tf.data.Dataset:
    """Reads and decodes batches as they are needed; shuffles among `SHUFFLE_BUFFER` encoded images."""
    import tensorflow as tf

    records = source.records()

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        mine = records
        if order.shuffle:
            # `Dataset.shuffle` mixes its seed with the seed of the graph it is built in, which would be
            # the global one. This function is traced into a graph of its own: fix that graph's seed.
            tf.compat.v1.set_random_seed(1)
            seed = tf.random.stateless_uniform(
                (), seed=[order.seed, number], minval=None, maxval=None, dtype=tf.int64
            )
            mine = records.shuffle(
                min(num_examples, SHUFFLE_BUFFER), seed=seed, reshuffle_each_iteration=False
            )
        images = mine.map(source.decode, num_parallel_calls=WORKERS)
        return images.batch(order.batch_size, order.drop_remainder)

    return _finish(_epochs(order).flat_map(epoch), num_examples, order)


def _epochs(order: Order) -> tf.data.Dataset:
    import tensorflow as tf

    stop = tf.int64.max if order.repeat else order.start_epoch + 1
    return tf.data.Dataset.range(order.start_epoch, stop)


def _finish(batches: tf.data.Dataset, num_examples: int, order: Order) -> tf.data.Dataset:
    import tensorflow as tf

    steps = order.steps(num_examples)
    if not steps:  # an endless stream of nothing would hang its reader
        raise ValueError(
            f"`batch_size` must be at most the {num_examples} examples there are when drop_remainder=True, "
            f"got batch_size={order.batch_size}."
        )
    count = tf.data.INFINITE_CARDINALITY if order.repeat else steps
    options = tf.data.Options()
    options.deterministic = order.deterministic
    options.autotune.enabled = False
    batches = batches.apply(tf.data.experimental.assert_cardinality(count)).with_options(options)
    return batches.prefetch(2)
