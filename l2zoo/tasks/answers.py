"""What a model answers to each batch of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.tasks.checks import check_images


def answers(model: keras.Model, data: ImageData, *, batch_size: int = 64) -> Iterator[tuple[Any, Any, Any]]:
    """Images, targets and the model's outputs of one batch after another, as NumPy arrays, in order.

    Raises:
        ValueError: The model is for images of another shape.
    """
    check_images(model, data.image_shape)
    for images, targets in data.batches(batch_size).as_numpy_iterator():
        outputs = model.predict_on_batch(images)
        yield images, targets, keras.tree.map_structure(np.asarray, outputs)


def first(data: ImageData, most: int) -> tuple[Any, Any]:
    """The first images and their targets."""
    return next(data.batches(min(most, data.num_examples)).as_numpy_iterator())


def plain(measured: Mapping[str, Any]) -> dict[str, float]:
    """Python's own numbers, for JSON."""
    return {name: float(value) for name, value in measured.items()}
