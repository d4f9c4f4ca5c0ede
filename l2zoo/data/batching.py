"""Batches in an order that a resumed run can join in the middle.

The order of an epoch depends only on the seed and the number of the epoch: never on TensorFlow's global
seed, on the batch size, or on the epochs before it.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

SHUFFLE_BUFFER = 8192
"""Encoded images that a stream holds to shuffle among; a stream of fewer is shuffled perfectly."""

WORKERS = min(os.cpu_count() or 1, 4)
"""Examples or batches that are made at the same time."""


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


def from_memory(x: tf.Tensor, y: Any, order: Order) -> tf.data.Dataset:
    """Gathers batches from a tensor `(N, ...)` and a tensor, tuple or dict of tensors as long.

    Every epoch is a full permutation.
    """
    import tensorflow as tf

    num_examples = len(x)
    positions = tf.range(num_examples, dtype=tf.int64)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        mine = positions
        if order.shuffle:
            mine = tf.random.experimental.stateless_shuffle(positions, seed=[order.seed, number])
        return tf.data.Dataset.from_tensor_slices(mine).batch(order.batch_size, order.drop_remainder)

    def gather(batch: tf.Tensor) -> tuple[tf.Tensor, Any]:
        return tf.nest.map_structure(lambda part: tf.gather(part, batch), (x, y))

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
