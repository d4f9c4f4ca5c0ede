"""Data as a task trains on it: what `ImageData` or `VideoData` holds, in the form that a loss takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from l2zoo.data.images import ImageData
from l2zoo.data.videos import VideoData

if TYPE_CHECKING:
    import tensorflow as tf

Prepare = Callable[..., tuple[Any, Any]]
"""What a batch holds, and a seed `(2,)` or None, to inputs and targets for the loss, in a graph.

A batch of an `ImageData` holds images `(B, H, W, C)` and targets; that of a `VideoData`, clips
`(B, T, H, W, C)`.
"""

Data = TypeVar("Data", ImageData, VideoData)


@dataclass(frozen=True, eq=False)
class Prepared(Generic[Data]):
    """Images or clips, and what is done to each batch of them. The tasks make it; `fit` takes it.

    Attributes:
        data: The examples.
        prepare: What is done. In training it gets a seed that depends on the run's and on the number of the
            batch alone, so that a run that is resumed sees what an uninterrupted one would have seen. For
            validation it gets None, and does not augment.
        words: What `prepare` depends on, in plain values, by which a run knows its data again.
        num_classes: How many classes the model must know, where the shapes of the targets do not say it.
    """

    data: Data
    prepare: Prepare
    words: dict[str, Any]
    num_classes: int | None = None

    def training(self, batch_size: int, *, seed: int, start_epoch: int) -> tf.data.Dataset:
        """Shuffled and augmented batches from an epoch on, without end."""
        import tensorflow as tf

        batches = self.data.batches(batch_size, shuffle=True, seed=seed, start_epoch=start_epoch, repeat=True)
        numbers = tf.data.Dataset.counter(start=start_epoch * self.data.steps_per_epoch(batch_size))

        def prepare(number: tf.Tensor, batch: Any) -> tuple[Any, Any]:
            return self.prepare(*_parts(batch), tf.stack([tf.constant(seed, tf.int64), number]))

        return _map(tf.data.Dataset.zip(numbers, batches), prepare)

    def arrays(self) -> tuple[np.ndarray, Any]:
        """All inputs, and their targets as the loss takes them: an array, or a dict of arrays. Not copies."""
        return self._arrays

    @functools.cached_property
    def _arrays(self) -> tuple[np.ndarray, Any]:
        parts = list(self.once(256).as_numpy_iterator())
        return _concatenate(parts, 0), _concatenate(parts, 1)

    def once(self, batch_size: int) -> tf.data.Dataset:
        """Every example once, in order and as it is."""
        return _map(self.data.batches(batch_size), lambda *batch: self.prepare(*batch, None))


def _parts(batch: Any) -> tuple[Any, ...]:
    """What a batch holds: a `VideoData` gives its clips bare."""
    return batch if isinstance(batch, tuple) else (batch,)


def _concatenate(parts: list[tuple[Any, Any]], which: int) -> Any:
    some = [part[which] for part in parts]
    if isinstance(some[0], dict):
        return {name: np.concatenate([one[name] for one in some]) for name in some[0]}
    return np.concatenate(some)


def _map(batches: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    return batches.map(function, num_parallel_calls=2, deterministic=True).prefetch(2)
