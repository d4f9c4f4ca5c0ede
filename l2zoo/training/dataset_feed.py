"""Datasets of the caller's own, in every form that Keras's `fit` takes: read as they are, in their own order.

A dataset is read from its start in every epoch and in every run. A generator can be read but once.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def dataset_feed(data: Any, batch_size: int, name: str) -> DatasetFeed | None:
    """The feed of a dataset of one of Keras's kinds; `None` for anything else.

    Raises:
        ValueError: A dataset that is empty, or never ends.
    """
    if hasattr(data, "element_spec"):
        return _TensorFlowFeed(data, batch_size, name)
    if isinstance(data, keras.utils.PyDataset):
        return _PyDatasetFeed(data, name)
    if isinstance(data, types.GeneratorType):
        return _GeneratorFeed(data, name)
    modules = [base.__module__ for base in type(data).__mro__ if base.__name__ == "DataLoader"]
    if any(module.startswith("torch.utils.data") for module in modules):
        return _LoaderFeed(data, name)
    return None


class DatasetFeed:
    """Batches of a dataset, which have sizes and an order of their own.

    Args:
        dataset: What Keras's `fit` takes.
        steps: Batches in an epoch, `None` if nobody knows.
        name: Of the argument, for messages.

    Attributes:
        once_only: Whether it can be read only once.
    """

    once_only = False

    def __init__(self, dataset: Any, steps: int | None, name: str):
        self.dataset, self.steps = dataset, steps
        if steps == 0:
            raise ValueError(f"`{name}` must be a dataset of one epoch, got one that is empty.")

    def epochs_from(self, epoch: int) -> Any:
        return self.dataset

    def once(self) -> Any:
        return self.dataset

    def zero_batch(self) -> tuple[Any, ...] | None:
        return as_parts(
            keras.tree.map_structure(lambda part: np.zeros_like(_array(part)), self.first_batch())
        )

    def first_batch(self) -> Any:
        batch = self._first
        return tuple(batch) if isinstance(batch, list) else batch  # as Keras hands it to a step

    def describe(self) -> dict[str, Any]:
        return {"name": type(self.dataset).__name__.lstrip("_"), "batches": self.steps}

    @functools.cached_property
    def _first(self) -> Any:
        return next(iter(self.dataset))


class _TensorFlowFeed(DatasetFeed):
    """A `tf.data.Dataset`."""

    def __init__(self, dataset: Any, batch_size: int, name: str):
        self.batch_size = batch_size
        steps = int(dataset.cardinality()) if hasattr(dataset, "cardinality") else -2
        if steps == -1:
            raise ValueError(_without_end(name, "give it without repeat()"))
        super().__init__(dataset, steps if steps >= 0 else None, name)

    def zero_batch(self) -> tuple[Any, ...] | None:
        return zeros_of(self.dataset.element_spec, self.batch_size)


class _PyDatasetFeed(DatasetFeed):
    """A `keras.utils.PyDataset`."""

    def __init__(self, dataset: Any, name: str):
        if dataset.num_batches is None:
            raise ValueError(_without_end(name, "let its num_batches be those of an epoch"))
        super().__init__(dataset, dataset.num_batches, name)

    @functools.cached_property
    def _first(self) -> Any:
        return self.dataset[0]


class _LoaderFeed(DatasetFeed):
    """A PyTorch `DataLoader`."""

    def __init__(self, loader: Any, name: str):
        super().__init__(loader, len(loader) if hasattr(loader.dataset, "__len__") else None, name)

    @functools.cached_property
    def _first(self) -> Any:
        import torch

        with torch.random.fork_rng():  # a look at it must not change the order that it will have
            return next(iter(self.dataset))


class _GeneratorFeed(DatasetFeed):
    """A generator, the first batch of which is looked at and given again."""

    once_only = True

    def __init__(self, generator: types.GeneratorType, name: str):
        first = next(generator, None)
        super().__init__(_with_first(first, generator), 0 if first is None else None, name)
        self._first = first

    def zero_batch(self) -> tuple[Any, ...] | None:
        parts = as_parts(self.first_batch())
        return keras.tree.map_structure(lambda part: np.zeros_like(_array(part)), parts)

    def describe(self) -> dict[str, Any]:
        return {"name": "generator", "batches": None}


def as_parts(batch: Any) -> tuple[Any, ...]:
    """`(x,)`, `(x, y)` or `(x, y, sample_weight)`: what Keras makes of an element of a dataset."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    return (x,) if y is None else (x, y) if sample_weight is None else (x, y, sample_weight)


def zeros_of(spec: Any, batch_size: int) -> tuple[Any, ...] | None:
    """Zeros for the `element_spec` of a `tf.data.Dataset`; `None` if sizes other than the batch's vary."""
    parts = keras.tree.flatten(spec)
    shapes = [getattr(part, "shape", None) for part in parts]
    if any(shape is None or shape.rank is None or None in shape[1:] for shape in shapes):
        return None
    if any(part.dtype.as_numpy_dtype is object for part in parts):  # texts
        return None
    zeros = keras.tree.map_structure(
        lambda part: np.zeros(_shape_of_batch(part.shape, batch_size), part.dtype.as_numpy_dtype), spec
    )
    return as_parts(zeros)


def _shape_of_batch(shape: Any, batch_size: int) -> tuple[int, ...]:
    return (shape[0] or batch_size, *shape[1:]) if shape.rank else ()


def _with_first(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


def _array(part: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(part) if keras.ops.is_tensor(part) else np.asarray(part)


def _without_end(name: str, step: str) -> str:
    return f"`{name}` must be a dataset of one epoch, got one that never ends: {step}."
