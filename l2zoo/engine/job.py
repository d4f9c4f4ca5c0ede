"""What a search trains, and on what: all that a worker must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from l2zoo.engine.record import Unit, Value
from l2zoo.engine.warm_model import State, put


@dataclass(frozen=True)
class Job:
    """All that a worker must know to train any unit of a search.

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
    folds: int | tuple[np.ndarray, np.ndarray] | Callable[[int], list[tuple[np.ndarray, np.ndarray]]]
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


def parts(job: Job, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and held-out rows of each fold."""
    if callable(job.folds):
        return job.folds(seed)
    return split(job.y, job.folds, seed) if isinstance(job.folds, int) else [job.folds]


def split(y: Any, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds, another division for every seed: pairs of training and held-out rows.

    Stratified where a row has one class; masks and boxes have many.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    classes = classes_of(y)
    if classes is None:
        rows = np.arange(len(keras.tree.flatten(y)[0]))
        return list(KFold(folds, shuffle=True, random_state=seed).split(rows))
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(classes, classes))


def classes_of(y: Any) -> np.ndarray | None:
    """The class of each row, `(N,)`, of labels `(N,)` or one-hot labels `(N, K)`; None for other targets."""
    if isinstance(y, dict) or y.ndim > 2:
        return None
    return y if y.ndim == 1 else y.argmax(axis=1)


def built(job: Job, values: dict[str, Value], seed: int | None = None) -> keras.Model:
    """The job's model for values of the hyperparameters, compiled; `seed` makes its weights repeatable."""
    if seed is not None:
        keras.utils.set_random_seed(seed)
    try:
        model = job.build(values)
    except Exception as error:
        error.add_note(f"The model was built with {values}.")
        raise
    if not isinstance(model, keras.Model):
        raise TypeError(f"`build` must return a keras.Model, got {type(model).__name__}.")
    if not model.compiled:
        optimizer = job.optimizer
        if isinstance(optimizer, keras.optimizers.Optimizer):
            optimizer = type(optimizer).from_config(optimizer.get_config())
        elif callable(optimizer):
            optimizer = optimizer()
        model.compile(optimizer=optimizer, loss=job.loss, metrics=list(job.metrics))
    return model


def finished(job: Job, values: dict[str, Value], *, seed: int, state: State) -> keras.Model:
    """The final model: built anew, with plain numbers for its penalty, and the weights of a training."""
    return put(state, built(job, values, seed))
