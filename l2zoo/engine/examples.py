"""What a caller hands over to many trainings: images, targets and weights, as arrays that were checked."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.data.checks import check_images_or_clips
from l2zoo.data.prepared import Prepared
from l2zoo.data.sources.arrays import NAME as ARRAYS
from l2zoo.data.targets.labels import classes_of
from l2zoo.utils.validation import check_number


def take_weights(data: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Data without the weights that a tuple `(x, y, sample_weight)` has, and the weights.

    Raises:
        ValueError: There are weights in both.
    """
    if not (isinstance(data, tuple) and len(data) == 3):
        return data, sample_weight
    if sample_weight is not None:
        raise ValueError("Give the weights once: as the third part of the data, or as `sample_weight`.")
    return data[:2], data[2]


def groups_in(data: Any, groups: Any = None) -> Any:
    """What each example belongs to: what a caller says, else what the data know; None where nobody does."""
    data = data.data if isinstance(data, Prepared) else data
    return groups if groups is not None else getattr(data, "groups", None)


def check_order(data: Any, folds: Any) -> None:
    """Checks that folds by the order of time have data in that order.

    Raises:
        ValueError: `folds` is scikit-learn's `TimeSeriesSplit`, and `data` are no arrays: images of a folder
            and of TFDS come in an order of their own, which is that of nothing.
    """
    from sklearn.model_selection import TimeSeriesSplit

    data = data.data if isinstance(data, Prepared) else data
    if isinstance(folds, TimeSeriesSplit) and getattr(data, "name", ARRAYS) != ARRAYS:
        raise ValueError(
            "`folds` is a TimeSeriesSplit, which takes rows to be in the order of time, but "
            f"{data.name} gives its images in another: it would be trained on what came later. "
            "Pass arrays (x, y) in that order."
        )


def images_and_targets(name: str, data: Any) -> tuple[np.ndarray, Any]:
    """Images and targets as arrays; `name` is that of the argument.

    Raises:
        TypeError: `data` is neither what a task has prepared, nor an `ImageData`, nor a pair; or the targets
            are no numbers.
        ValueError: The arrays are not images and targets.
    """
    if isinstance(data, Prepared):
        return data.arrays()
    if isinstance(data, ImageData):
        if data.task in ("segmentation", "detection", "generation"):
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
    x = np.asarray(data[0])
    check_images_or_clips(x)
    return _as_keras_takes(x), _targets(data[1], len(x))


def weights_of_rows(y: Any, *, sample_weight: Any = None, class_weight: Any = None) -> Any:
    """What each row weighs in the loss of a training, float32; None where all weigh alike.

    Args:
        y: The targets.
        sample_weight: `(N,)`, or an array for each output.
        class_weight: What examples of a class weigh, by its number; 1 where nothing is said.

    Raises:
        TypeError: They are no numbers, or `class_weight` is no dict of numbers.
        ValueError: Both are given; a length that is not that of the targets, a weight below 0, or all 0;
            targets without one class a row.
    """
    if sample_weight is not None and class_weight is not None:
        raise ValueError(
            "Give `sample_weight` or `class_weight`, not both: multiply them into `sample_weight`."
        )
    if class_weight is not None:
        return _of_classes(y, class_weight)
    if sample_weight is None:
        return None
    rows = len(keras.tree.flatten(y)[0])

    def weights(part: Any) -> np.ndarray:
        part = np.asarray(part)
        if part.dtype.kind not in "buif":
            raise TypeError(f"`sample_weight` must hold numbers, got dtype={part.dtype}.")
        if not part.ndim or len(part) != rows:
            raise ValueError(
                f"`sample_weight` must have a weight for each of the {rows} examples, got shape={part.shape}."
            )
        if not (np.isfinite(part).all() and part.min() >= 0 and part.max() > 0):
            raise ValueError(
                "`sample_weight` must hold finite weights of at least 0, and some above, got values from "
                f"{part.min():g} to {part.max():g}."
            )
        return part.astype("float32")

    nested = isinstance(sample_weight, (dict, tuple)) or _is_list_of_arrays(sample_weight, rows)
    return keras.tree.map_structure(weights, sample_weight) if nested else weights(sample_weight)


def concatenate(one: tuple[np.ndarray, Any], other: tuple[np.ndarray, Any]) -> tuple[np.ndarray, Any]:
    """The rows of two pairs of images and targets, one behind the other."""
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), one, other)


def _targets(y: Any, rows: int) -> Any:
    """One array, or a dict, tuple or list of arrays for several outputs, all of so many rows."""
    if isinstance(y, (dict, tuple)) or _is_list_of_arrays(y, rows):
        parts = y.items() if isinstance(y, dict) else enumerate(y)
        found = {name: _target(part, rows, f"y[{name!r}]") for name, part in parts}
        return found if isinstance(y, dict) else type(y)(found.values())
    return _target(y, rows, "y")


def _target(y: Any, rows: int, name: str) -> np.ndarray:
    y = np.asarray(y)
    if y.dtype.kind not in "buif":
        step = (
            " Turn names into numbers: np.unique(y, return_inverse=True)[1]." if y.dtype.kind in "US" else ""
        )
        raise TypeError(f"`{name}` must hold numbers, got dtype={y.dtype}.{step}")
    if not y.ndim or len(y) != rows:
        raise ValueError(
            f"`x` and `y` must have the same length, got {rows} images and {name} of shape={y.shape}."
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        first = next(i for i, target in enumerate(y) if not np.isfinite(target).all())
        raise ValueError(f"`{name}` must be finite, but example {first} is not: drop or mend it.")
    return _as_keras_takes(y)


def _as_keras_takes(array: np.ndarray) -> np.ndarray:
    """Floats as Keras's `fit` casts them."""
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array


def _is_list_of_arrays(y: Any, rows: int) -> bool:
    """Whether a list holds an array for each of several outputs, and is not an array written as a list."""
    return isinstance(y, list) and len(y) != rows and all(np.ndim(part) and len(part) == rows for part in y)


def _of_classes(y: Any, class_weight: Any) -> np.ndarray:
    classes = classes_of(y)
    if classes is None:
        raise ValueError(
            "`class_weight` needs targets with one class an image: labels (N,) or one-hot labels (N, K). "
            "Give `sample_weight`, a weight for each example."
        )
    if not isinstance(class_weight, dict):
        raise TypeError(
            "`class_weight` must be a dict of weights by the number of the class, as in {0: 1.0, 1: 5.0}, "
            f"got {class_weight!r}."
        )
    weights = np.ones(len(classes), "float32")
    for number, weight in class_weight.items():
        if not isinstance(number, int | np.integer):
            raise TypeError(f"`class_weight` must have the numbers of classes as its keys, got {number!r}.")
        weights[classes == number] = check_number("class_weight", weight)
    if not weights.any():
        raise ValueError(f"`class_weight` leaves nothing to learn from: all weights are 0, {class_weight}.")
    return weights
