"""What must hold before an audit begins; each error says the next step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData, check_images
from l2zoo.data.checks import check_apart

FEWEST = 100  # of fewer than 100 images, 1 % is less than one


def members_and_others(train: Any, test: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Images and labels of both together, members first, and how many are members.

    Raises:
        TypeError: One of them is neither images with labels nor a pair of arrays.
        ValueError: They are no images and labels, too few, of different shapes, or share images.
    """
    (x, y), (other_x, other_y) = _read("train", train), _read("test", test)
    if x.shape[1:] != other_x.shape[1:]:
        raise ValueError(
            f"`train` and `test` must hold images of one shape, got {x.shape[1:]} and {other_x.shape[1:]}. "
            "Resize both as the model takes them."
        )
    if x.dtype != other_x.dtype:
        x, other_x = x.astype("float32"), other_x.astype("float32")
    check_apart(x, other_x)
    return np.concatenate([x, other_x]), np.concatenate([y, other_y]).astype(np.int64), len(x)


def check_labels(y: np.ndarray, num_classes: int, *, members: int) -> None:
    """Raises a `ValueError` if the model has no such class."""
    wrong = np.flatnonzero(y >= num_classes)
    if len(wrong):
        name, row = ("train", wrong[0]) if wrong[0] < members else ("test", wrong[0] - members)
        raise ValueError(
            f"Labels of `{name}` must be in [0, {num_classes}), the classes of `model`, got "
            f"y[{row}]={y[wrong[0]]}. Audit the model on the data it was made for."
        )


def check_build(built: Any, model: keras.Model) -> None:
    """Raises a clear error if `build` has not given a compiled model of the audited one's architecture."""
    if not isinstance(built, keras.Model):
        raise TypeError(f"`build` must return a keras.Model, got {type(built).__name__}.")
    if not built.compiled:
        raise ValueError(
            "`build` must return a compiled model, with the optimizer and the loss that `model` was trained "
            "with. End it with model.compile(...)."
        )
    shapes, wanted = ([tuple(v.shape) for v in one.weights] for one in (built, model))
    if shapes != wanted:
        raise ValueError(
            f"`build` must return the architecture of `model`, got {len(shapes)} weights with "
            f"{built.count_params():,} numbers instead of {len(wanted)} with {model.count_params():,}: "
            "reference models say nothing about a model of another kind."
        )


def _read(name: str, data: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(data, ImageData):
        if data.task != "classification":
            raise TypeError(f"`{name}` must hold images with a class each, got an ImageData for {data.task}.")
        x, y = data.arrays()
    elif isinstance(data, tuple) and len(data) == 2:
        x, y = (np.asarray(part) for part in data)
        try:
            check_images(x, y)
        except (TypeError, ValueError) as error:
            raise type(error)(f"`{name}`: {error}") from None
    else:
        raise TypeError(
            f"`{name}` must be an ImageData from l2zoo.data.load, or a tuple (x, y) of arrays, got "
            f"{type(data).__name__}."
        )
    if len(x) < FEWEST:
        raise ValueError(
            f"`{name}` must hold at least {FEWEST} images, got {len(x)}: a rate at 1 % false positives says "
            "nothing about fewer. Give more of them."
        )
    return x, y
