"""What must hold before a search begins; each error says the next step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData, check_folds, check_images
from l2zoo.data.prepared import Prepared
from l2zoo.engine.job import Job, classes_of
from l2zoo.engine.local import Engine, InProcess
from l2zoo.utils.validation import check_number, whole_number


def arrays(name: str, data: Any) -> tuple[np.ndarray, Any]:
    """Images and targets as arrays.

    Raises:
        TypeError: `data` is neither what a task has prepared, nor images with labels, nor a pair.
        ValueError: The arrays are not images and labels.
    """
    if isinstance(data, Prepared):
        return data.arrays()
    if isinstance(data, ImageData):
        if data.task != "classification":
            raise TypeError(
                f"`{name}` must be in the form that the loss takes, got an ImageData for {data.task}: give "
                f"what its task makes of it, tasks.{data.task.title()}(class_names).prepared(data)."
            )
        return data.arrays()
    if not (isinstance(data, tuple) and len(data) == 2):
        raise TypeError(
            f"`{name}` must be an ImageData from l2zoo.data.load, or a tuple (x, y), got "
            f"{type(data).__name__}. A search shuffles and divides the images, so it needs them in memory."
        )
    x, y = (np.asarray(part) for part in data)
    check_images(x, y)
    return x, y


def divisible(y: Any, folds: int) -> None:
    """Raises a `ValueError` if targets cannot be divided into so many folds."""
    classes = classes_of(y)
    if classes is not None:
        check_folds(classes, folds)
        return
    count = len(keras.tree.flatten(y)[0])
    if count < folds:
        raise ValueError(f"`folds` must be at most the {count} examples there are, got folds={folds}.")


def grid(strengths: Sequence[float]) -> list[float]:
    """Strengths in order, each once, and 0 among them."""
    values = {check_number("strengths", value) for value in strengths}
    if not values - {0.0}:
        raise ValueError(f"`strengths` must hold at least one number above 0, got {list(strengths)}.")
    return sorted(values | {0.0})


def seeds(given: int | Sequence[int]) -> list[int]:
    """A number of seeds, or the seeds, as a list of different ones."""
    if not isinstance(given, Sequence):
        return list(range(whole_number("seeds", given, at_least=1)))
    found = [whole_number("seeds", seed, at_least=0) for seed in given]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"`seeds` must be a number of seeds, or different seeds, got {list(given)}.")
    return found


def engine(
    given: Callable[[Job], Engine] | None, *, workers: int, address: str | None
) -> Callable[[Job], Engine]:
    """What makes the engine: the given one, Ray for several workers or a cluster, else this process."""
    whole_number("workers", workers, at_least=1)
    if given is not None:
        if workers > 1 or address is not None:
            raise ValueError("Give either `engine`, or `workers` and `address`.")
        return given
    if workers == 1 and address is None:
        return InProcess
    from l2zoo.engine.ray import OnRay

    return functools.partial(OnRay, workers=workers, address=address)
