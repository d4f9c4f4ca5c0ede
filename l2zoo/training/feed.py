"""What `fit` trains on: anything Keras takes, as batches whose order a resumed run can join.

For arrays and `ImageData` the order of epoch `e` depends only on the seed and `e`.
"""

from __future__ import annotations

import functools
import math
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.data.batching import Order, from_memory
from l2zoo.data.prepared import Prepared
from l2zoo.data.videos import VideoData
from l2zoo.training.dataset_feed import dataset_feed, zeros_of

if TYPE_CHECKING:
    import tensorflow as tf


class Feed(Protocol):
    """Batches for training or validation."""

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, `None` if nobody knows."""

    def epochs_from(self, epoch: int) -> Any:
        """The batches of epoch `epoch` and those after it, for Keras's `fit`."""

    def once(self) -> Any:
        """Every example once, in order, for validation."""

    def zero_batch(self) -> tuple[Any, ...] | None:
        """`(x,)`, `(x, y)` or `(x, y, sample_weight)` like a batch, but all zeros; `None` if sizes vary."""

    def first_batch(self) -> Any:
        """A batch of the real data, as a training step gets it."""

    def describe(self) -> dict[str, Any]:
        """What it is, in plain values, so that a run is not resumed on other data."""


def feed_of(data: Any, *, batch_size: int, seed: int, name: str = "data") -> Feed:
    """Makes a feed of arrays, an `ImageData`, what a task has prepared, or a dataset that Keras takes.

    Raises:
        TypeError: `data` is a bare array, or nothing that could be trained on.
        ValueError: Arrays that are empty, of different lengths, or hold NaN or infinity.
    """
    if isinstance(data, ImageData):
        return ImageFeed(data, batch_size, seed)
    if isinstance(data, Prepared):
        return PreparedFeed(data, batch_size, seed)
    dataset = dataset_feed(data, batch_size, name)
    if dataset is not None:
        return dataset
    if isinstance(data, dict) or _is_array(data):
        data = (data,)  # inputs alone, for models that need no targets
    if isinstance(data, (tuple, list)) and len(data) in (1, 2, 3):
        return ArrayFeed(tuple(_structure(part) for part in data), batch_size, seed, name)
    raise TypeError(
        f"`{name}` must be arrays `(x, y)` or `(x, y, sample_weight)`, an ImageData (see l2zoo.data.load), "
        "a tf.data.Dataset, a PyDataset, a PyTorch DataLoader or a generator, got "
        f"{type(data).__name__}{f' of {len(data)} parts' if isinstance(data, (tuple, list)) else ''}."
    )


class ImageFeed:
    """Batches of an `ImageData`."""

    def __init__(self, data: ImageData, batch_size: int, seed: int):
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.steps = data.steps_per_epoch(batch_size)

    def epochs_from(self, epoch: int) -> tf.data.Dataset:
        return self.data.batches(
            self.batch_size, shuffle=True, seed=self.seed, start_epoch=epoch, repeat=True
        )

    def once(self) -> tf.data.Dataset:
        return self.data.batches(self.batch_size)

    def zero_batch(self) -> tuple[Any, ...] | None:
        return zeros_of(self.once().element_spec, self.batch_size)

    def first_batch(self) -> Any:
        return next(iter(self.once()))

    def describe(self) -> dict[str, Any]:
        data = self.data
        about = {"name": data.name, "split": data.split, "examples": data.num_examples}
        if data.in_memory:
            about["checksum"] = _checksum(keras.tree.flatten(data.arrays()))
        return about


class PreparedFeed(ImageFeed):
    """Batches of an `ImageData` or a `VideoData` as a task trains on them."""

    def __init__(self, prepared: Prepared, batch_size: int, seed: int):
        super().__init__(prepared.data, batch_size, seed)
        self._prepared = prepared
        self.task, self.num_classes = prepared.words.get("task"), prepared.num_classes

    def epochs_from(self, epoch: int) -> tf.data.Dataset:
        return self._prepared.training(self.batch_size, seed=self.seed, start_epoch=epoch)

    def once(self) -> tf.data.Dataset:
        return self._prepared.once(self.batch_size)

    def describe(self) -> dict[str, Any]:
        return {**self._describe_data(), **self._prepared.words}

    def _describe_data(self) -> dict[str, Any]:
        data = self._prepared.data
        if not isinstance(data, VideoData):
            return super().describe()
        about = {"name": data.name, "split": data.split, "examples": data.num_examples}
        return {**about, "checksum": _checksum([data.arrays()])}


class ArrayFeed:
    """Batches of arrays, or of tuples and dicts of arrays, held as tensors."""

    def __init__(self, parts: tuple[Any, ...], batch_size: int, seed: int, name: str):
        _check_arrays(parts, name)
        self.parts, self.seed, self.batch_size = parts, seed, batch_size
        self.num_examples = len(keras.tree.flatten(parts)[0])
        self.steps = math.ceil(self.num_examples / batch_size)

    def epochs_from(self, epoch: int) -> tf.data.Dataset:
        order = Order(self.batch_size, shuffle=True, seed=self.seed, start_epoch=epoch, repeat=True)
        return from_memory(self._tensors, order)

    def once(self) -> tf.data.Dataset:
        return from_memory(self._tensors, Order(self.batch_size))

    def zero_batch(self) -> tuple[Any, ...] | None:
        return zeros_of(self.once().element_spec, self.batch_size)

    def first_batch(self) -> Any:
        return next(iter(self.once()))

    def describe(self) -> dict[str, Any]:
        shapes = [list(part.shape) for part in keras.tree.flatten(self.parts)]
        return {"name": "arrays", "shapes": shapes, "checksum": _checksum(keras.tree.flatten(self.parts))}

    @functools.cached_property
    def _tensors(self) -> tuple[Any, ...]:
        import tensorflow as tf

        with tf.device("CPU"):  # tf.data gathers on the CPU, and the accelerator's memory is the model's
            return keras.tree.map_structure(tf.convert_to_tensor, self.parts)


def epoch_by_epoch(stream: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """A dataset that ends after `steps` batches, and the next time it is read goes on where it ended.

    Keras can then run any number of steps in one execution: without an end, an execution that does not
    divide the epoch would run into the next one.
    """
    import tensorflow as tf

    batches = iter(stream)
    return tf.data.Dataset.range(steps).map(lambda _: batches.get_next())


def _structure(part: Any) -> Any:
    """Arrays in the place of whatever can become one; dicts, tuples and lists of several inputs stay."""
    if isinstance(part, dict):
        return {name: _structure(value) for name, value in part.items()}
    if isinstance(part, tuple) or (isinstance(part, list) and part and all(map(_is_array, part))):
        return tuple(map(_structure, part))
    return keras.ops.convert_to_numpy(part) if keras.ops.is_tensor(part) else np.asarray(part)


def _is_array(part: Any) -> bool:
    """Whether it has axes, as arrays, tensors and pandas' columns have and Python's lists have not."""
    return len(getattr(part, "shape", ())) > 0


def _check_arrays(parts: tuple[Any, ...], name: str) -> None:
    lengths = []
    for path, array in keras.tree.flatten_with_path(parts):
        what = f"{name}{''.join(f'[{key!r}]' for key in path)}"
        if array.dtype.hasobject or not array.ndim:
            raise TypeError(
                f"`{what}` must be an array of numbers, got dtype={array.dtype}, shape={array.shape}. "
                "A sparse matrix becomes one by `.toarray()`."
            )
        if not array.size:
            raise ValueError(f"`{what}` must hold examples, got shape={array.shape}.")
        if array.dtype.kind == "f" and not (np.isfinite(array.min()) and np.isfinite(array.max())):
            first = next(i for i, example in enumerate(array) if not np.isfinite(example).all())
            raise ValueError(
                f"`{what}` must be finite, but example {first} holds NaN or infinity: drop or repair it."
            )
        lengths.append((what, len(array)))
    if len({length for _, length in lengths}) > 1:
        found = ", ".join(f"{what} has {length}" for what, length in lengths)
        raise ValueError(f"`{name}` must hold arrays of one length, got different ones: {found}.")


def _checksum(arrays: Any) -> str:
    """Tells other data of the same shape apart; CRC-32 reads more than a gigabyte a second."""
    value = 0
    for array in arrays:
        value = zlib.crc32(f"{array.dtype.str}{array.shape}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return f"{value:08x}"
