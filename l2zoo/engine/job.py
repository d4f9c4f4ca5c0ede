"""What is trained, and on what: all that a worker must know; here alone a user's `build` is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData, check_folds, check_images
from l2zoo.data.prepared import Prepared
from l2zoo.engine.record import State, Unit, Value
from l2zoo.engine.warm_model import load_state
from l2zoo.utils.validation import whole_number

Rows = tuple[np.ndarray, np.ndarray]
"""Training and held-out rows."""


@dataclass(frozen=True)
class Job:
    """All that a worker must know to train any unit.

    Attributes:
        build: Makes a model, compiled or not, from the values of all hyperparameters, by name.
        x: Images `(N, H, W, C)`, pixels in [0, 255].
        y: Labels `(N,)`, or whatever the loss takes: an array, or a dict of arrays, of N rows.
        folds: Number of folds, stratified by class where a row has one; or, as the one fold there is,
            training and held-out rows; or what gives such pairs for a seed.
        epochs: Passes over the training part of a fold.
        batch_size: Images in a step.
        optimizer: For a model that `build` did not compile: a name, an optimizer, or a maker of one.
        loss: Likewise, of the data alone.
        metrics: Likewise.
        objective: Name of the score, e.g. `"val_accuracy"`; `None` chooses.
        reference: Values with which the model is built first. A strength above 0 is one that is searched,
            and must change the penalty.
        strength: Name of the hyperparameter that is the strength of L2.
        callbacks: Keras callbacks; every training gets its own copies.
    """

    build: Callable[[dict[str, Value]], keras.Model]
    x: np.ndarray
    y: Any
    folds: int | Rows | Callable[[int], list[Rows]]
    epochs: int
    batch_size: int
    optimizer: Any
    loss: Any
    metrics: Sequence[Any]
    objective: str | None
    reference: dict[str, Value] = field(default_factory=lambda: {"l2": 1.0})
    strength: str = "l2"
    callbacks: Sequence[keras.callbacks.Callback] = ()

    def values(self, unit: Unit) -> dict[str, Value]:
        """The values of all hyperparameters of a unit."""
        return {self.strength: unit.strength, **dict(unit.others)}

    def rows(self, seed: int) -> list[Rows]:
        """Training and held-out rows of each fold."""
        if callable(self.folds):
            return self.folds(seed)
        return split(self.y, self.folds, seed) if isinstance(self.folds, int) else [self.folds]

    def model(self, values: dict[str, Value], *, seed: int | None = None) -> keras.Model:
        """The model for values of the hyperparameters, compiled; `seed` makes its weights repeatable.

        Raises:
            TypeError: `build` returns something else. What `build` itself raises tells the values in a note.
        """
        if seed is not None:
            keras.utils.set_random_seed(seed)
        try:
            model = self.build(values)
        except Exception as error:
            error.add_note(f"The model was built with {values}.")
            raise
        if not isinstance(model, keras.Model):
            raise TypeError(f"`build` must return a keras.Model, got {type(model).__name__}.")
        if not model.compiled:
            compile_model(model, optimizer=self.optimizer, loss=self.loss, metrics=self.metrics)
        return model

    def final_model(self, values: dict[str, Value], *, seed: int, state: State) -> keras.Model:
        """The model built anew, with plain numbers for its penalty, and the weights of a training."""
        return load_state(self.model(values, seed=seed), state)


def compile_model(model: keras.Model, *, optimizer: Any, loss: Any, metrics: Sequence[Any]) -> None:
    """Compiles a model with an optimizer of its own: no two models share one.

    Args:
        model: The model.
        optimizer: A name, an optimizer to copy, or a callable that makes one.
        loss: Of the data alone.
        metrics: Names or metrics.
    """
    model.compile(own_optimizer(optimizer), loss=loss, metrics=list(metrics))


def own_optimizer(optimizer: Any) -> Any:
    """An optimizer, or its name, for one model alone, of a name, an optimizer to copy, or a maker of one."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return optimizer() if callable(optimizer) else optimizer


def split(y: Any, folds: int, seed: int) -> list[Rows]:
    """Folds, another division for every seed: pairs of training and held-out rows.

    Stratified where a row has one class; masks and boxes have many.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    classes = _classes(y)
    if classes is None:
        rows = np.arange(len(keras.tree.flatten(y)[0]))
        return list(KFold(folds, shuffle=True, random_state=seed).split(rows))
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(classes, classes))


# ---- What a caller hands over ------------------------------------------------------------------------------


def images_and_targets(name: str, data: Any) -> tuple[np.ndarray, Any]:
    """Images and targets as arrays; `name` is that of the argument.

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


def check_divisible(y: Any, folds: int) -> None:
    """Raises a `ValueError` if targets cannot be divided into so many folds."""
    classes = _classes(y)
    if classes is not None:
        check_folds(classes, folds)
        return
    count = len(keras.tree.flatten(y)[0])
    if count < folds:
        raise ValueError(f"`folds` must be at most the {count} examples there are, got folds={folds}.")


def concatenate(one: tuple[np.ndarray, Any], other: tuple[np.ndarray, Any]) -> tuple[np.ndarray, Any]:
    """The rows of two pairs of images and targets, one behind the other."""
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), one, other)


def list_seeds(seeds: int | Sequence[int]) -> list[int]:
    """A number of seeds, or the seeds, as a list of different ones."""
    if not isinstance(seeds, Sequence):
        return list(range(whole_number("seeds", seeds, at_least=1)))
    listed = [whole_number("seeds", seed, at_least=0) for seed in seeds]
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"`seeds` must be a number of seeds, or different seeds, got {list(seeds)}.")
    return listed


def _classes(y: Any) -> np.ndarray | None:
    """The class of each row, `(N,)`, of labels `(N,)` or one-hot labels `(N, K)`; None for other targets."""
    if isinstance(y, dict) or y.ndim > 2:
        return None
    return y if y.ndim == 1 else y.argmax(axis=1)
