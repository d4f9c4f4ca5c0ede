"""What is trained, and on what: all that a worker must know; here alone a user's `build` is called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from l2zoo.engine.folds import Division, Rows
from l2zoo.engine.live_numbers import optimizers_in
from l2zoo.engine.record import State, Unit, Value
from l2zoo.engine.warm_model import load_state


@dataclass(frozen=True)
class Job:
    """All that a worker must know to train any unit.

    Attributes:
        build: Makes a model, compiled or not, from the values of all hyperparameters, by name.
        x: Images `(N, H, W, C)`, pixels in [0, 255].
        y: Labels `(N,)`, or whatever the loss takes: an array, or a nest of arrays, of N rows.
        folds: What `Division` takes; or what gives pairs of training and held-out rows for a seed.
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
        groups: What each row belongs to `(N,)`, as `Division` takes it.
        weights: What each row weighs in the loss of a training: an array or a nest of arrays of N rows.
        parts: Into how many parts, drawn at random, the held-out rows are divided that have a score of their
            own; 0 for none.
        weighted_scores: Whether held-out rows weigh as much in the loss and in `weighted_metrics`.
    """

    build: Callable[[dict[str, Value]], keras.Model]
    x: np.ndarray
    y: Any
    folds: Any
    epochs: int
    batch_size: int
    optimizer: Any
    loss: Any
    metrics: Sequence[Any]
    objective: str | None
    reference: dict[str, Value] = field(default_factory=lambda: {"l2": 1.0})
    strength: str = "l2"
    callbacks: Sequence[keras.callbacks.Callback] = ()
    groups: Any = None
    weights: Any = None
    parts: int = 0
    weighted_scores: bool = False

    @functools.cached_property
    def division(self) -> Any:
        """What gives the folds for a seed: a `Division`, or what the caller has made like one."""
        return (
            self.folds if callable(self.folds) else Division(self.y, self.folds, self.groups, images=self.x)
        )

    @property
    def training(self) -> tuple[Any, ...]:
        """What a step of a training takes rows of."""
        return (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)

    @property
    def held_out(self) -> tuple[Any, ...]:
        """Likewise a step of an evaluation."""
        return self.training if self.weighted_scores else (self.x, self.y)

    def values(self, unit: Unit) -> dict[str, Value]:
        """The values of all hyperparameters of a unit."""
        return {self.strength: unit.strength, **dict(unit.others)}

    def rows(self, seed: int) -> list[Rows]:
        """Training and held-out rows of each fold."""
        return self.division(seed)

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


def compile_model(model: keras.Model, *, optimizer: Any, loss: Any, metrics: Any) -> None:
    """Compiles a model with an optimizer and metrics of its own: no two models share them.

    Args:
        model: The model.
        optimizer: A name, an optimizer to copy, or a callable that makes one.
        loss: Of the data alone.
        metrics: Names or metrics, in the nest that Keras's `compile` takes.
    """
    own = keras.tree.map_structure(_own_metric, metrics)
    own = list(own) if isinstance(own, tuple) else own
    model.compile(own_optimizer(optimizer), loss=loss, metrics=own)


def own_optimizer(optimizer: Any) -> Any:
    """An optimizer, or its name, for one model alone, of a name, an optimizer to copy, or a maker of one."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return optimizer() if callable(optimizer) else optimizer
    for one in optimizers_in(optimizer):
        # Keras forgets them in every copy, and tells of them in no other way.
        names = ("_exclude_from_weight_decay_pattern", "_exclude_from_weight_decay")
        if any(getattr(one, name, None) for name in names):
            raise ValueError(
                f"`optimizer` has weights excluded from its decay, which a copy of {type(one).__name__} "
                "forgets, and every training needs a copy. Give a function that makes the optimizer."
            )
    return type(optimizer).from_config(optimizer.get_config())


def _own_metric(metric: Any) -> Any:
    """A copy of a metric of Keras's, under the same name: models of several kinds cannot share its counts."""
    kind = type(metric)
    if kind.__module__.startswith("keras.") and kind is not keras.metrics.MeanMetricWrapper:
        return kind.from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric
    return metric
