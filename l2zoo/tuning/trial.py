"""One warm model: built and traced once, then reset and trained for one unit of a search after another."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.strength import LiveL2, Strength
from l2zoo.tuning.ledger import fingerprint
from l2zoo.tuning.loops import epoch_loop
from l2zoo.tuning.record import Record, Unit
from l2zoo.weights import weights_of


@dataclass(frozen=True)
class Job:
    """All that a worker must know to run any unit of a search.

    Attributes:
        build: `build(l2)` returns a model, compiled or not.
        x: Images `(N, H, W, C)`, pixels in [0, 255].
        y: Labels `(N,)`.
        folds: Number of stratified folds.
        epochs: Passes over the training part of a fold.
        batch_size: Images in a step.
        optimizer: For a model that `build` did not compile: a name, an optimizer, or a maker of one.
        loss: Likewise, of the data alone.
        metrics: Likewise.
        objective: Name of the score, e.g. `"val_accuracy"`; `None` chooses.
    """

    build: Callable[[Any], keras.Model]
    x: np.ndarray
    y: np.ndarray
    folds: int
    epochs: int
    batch_size: int
    optimizer: Any
    loss: Any
    metrics: Sequence[Any]
    objective: str | None


def split(y: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds, another division for every seed: pairs of training and held-out rows."""
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y))


def built(job: Job, l2: Any, seed: int) -> keras.Model:
    """The job's model at a strength, compiled, with the weights that belong to a seed."""
    keras.utils.set_random_seed(seed)
    try:
        model = job.build(l2)
    except Exception as error:
        error.add_note(
            f"`build(l2)` was called with l2={l2!r}. Hand it to a builder, `build_cnn(..., l2=l2)`, or put "
            "it on a model of your own, `L2Policy.of(l2).apply(model)`."
        )
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


class WarmModel:
    """Runs units one after another on a model that is built and traced once.

    The same seed gives the same initial weights, the same batches and the same random numbers in the model
    for every strength, so differences between strengths are paired.

    Args:
        job: What to train, and on what.

    Raises:
        TypeError: `job.build` returns something else than a model.
        ValueError: The model ignores the strength it is given, or the objective is not there or contains
            the penalty.
    """

    def __init__(self, job: Job):
        self.job = job
        self._strength = Strength(0.0)
        self._model = built(job, self._strength, seed=0)
        self._check_strength_reaches()
        model = self._model
        model.optimizer.build(model.trainable_variables)
        self._variables = [v for v in model.variables if v is not self._strength.variable]
        self._fresh = {0: _values(self._variables)}
        self._fresh_optimizer = _values(model.optimizer.variables)
        self._loop = epoch_loop(model, job.x, job.y, batch_size=job.batch_size)
        self._split = functools.cache(functools.partial(split, job.y, job.folds))
        self._others = any(not _live_alone(w.variable.regularizer) for w in weights_of(model))
        self._loop.evaluate(np.arange(1))  # the metrics make their variables
        self.objective = self._choose_objective()

    def run(self, unit: Unit) -> Record:
        """Trains one unit from its fresh start and scores it on the held-out fold after every epoch."""
        started = time.perf_counter()
        rows, held_out = self._split(unit.seed)[unit.fold]
        curves: dict[str, list[float]] = {}
        reason = ""
        self._restore(unit.seed)
        for epoch in range(self.job.epochs):
            results = self._train_epoch(unit.strength, rows, (unit.seed, unit.fold, epoch))
            results |= self._evaluate(held_out)
            for name, value in results.items():
                curves.setdefault(name, []).append(value)
            if not np.isfinite([results["loss"], results["val_data_loss"], results[self.objective]]).all():
                reason = f"the loss became {results['loss']} in epoch {epoch + 1} of {self.job.epochs}"
                break
        self._strength.assign(unit.strength)
        return Record(
            unit,
            status="failed" if reason else "done",
            score=None if reason else curves[self.objective][-1],
            reason=reason,
            seconds=time.perf_counter() - started,
            epochs=len(curves["loss"]),
            curves=curves,
            weight_norm=self._weight_norm(),
            penalty=_penalty(self._model),
        )

    def identity(self) -> dict[str, Any]:
        """What the scores depend on besides the data, as JSON values: the model and how it is trained."""
        layers = [_plain_config(layer) for layer in self._model.layers]
        loss, optimizer = self._model.loss, self._model.optimizer
        return {
            "model": fingerprint(*self._fresh[0]),
            "layers": hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest(),
            "optimizer": {"class": type(optimizer).__name__, **_plain_config(optimizer)},
            "loss": loss if isinstance(loss, str) else getattr(loss, "name", type(loss).__name__),
            "objective": self.objective,
            "epochs": self.job.epochs,
            "batch_size": self.job.batch_size,
            "folds": self.job.folds,
            "backend": keras.backend.backend(),
        }

    def train_on_all(self, strength: float, seed: int) -> keras.Model:
        """Trains on all rows; a new model has the weights then, and a plain number for its strength."""
        self._restore(seed)
        rows = np.arange(len(self.job.x))
        for epoch in range(self.job.epochs):
            results = self._train_epoch(strength, rows, (seed, self.job.folds, epoch))
            if not np.isfinite(results["loss"]):
                raise FloatingPointError(
                    f"The final training at strength {strength:g} diverged in epoch {epoch + 1}, though its "
                    "folds did not. Choose a smaller strength or learning rate."
                )
        model = built(self.job, strength, seed)
        model.optimizer.build(model.trainable_variables)  # its state too, so that training can go on
        trained = [*self._variables, *self._model.optimizer.variables]
        for old, new in zip(trained, [*self._state_of(model), *model.optimizer.variables], strict=True):
            new.assign(old)
        return model

    def _train_epoch(self, strength: float, rows: np.ndarray, key: tuple[int, ...]) -> dict[str, float]:
        self._strength.assign(strength)
        self._model.reset_metrics()
        self._loop.train(np.random.default_rng(key).permutation(rows))
        return _results(self._model)

    def _evaluate(self, rows: np.ndarray) -> dict[str, float]:
        # At strength 0 Keras's loss is the data's, but for penalties that do not follow the strength.
        self._strength.assign(0.0)
        self._model.reset_metrics()
        self._loop.evaluate(rows)
        results = _results(self._model)
        data_loss = results.pop("loss") - (_penalty(self._model) if self._others else 0.0)
        return {"val_data_loss": data_loss, **{f"val_{name}": value for name, value in results.items()}}

    def _restore(self, seed: int) -> None:
        if seed not in self._fresh:
            self._fresh[seed] = _values(self._state_of(built(self.job, Strength(0.0), seed)))
        if keras.backend.backend() == "torch":
            # Its dropout draws from a global generator. (On TensorFlow a new global seed clears the cache of
            # compiled graphs, which would cost more than a short training.)
            keras.utils.set_random_seed(seed)
        for variable, value in zip(self._variables, self._fresh[seed], strict=True):
            variable.assign(value)
        for variable, value in zip(self._model.optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(value)

    def _state_of(self, model: keras.Model) -> list:
        state = [v for v in model.variables if v.name != self._strength.variable.name]
        if [v.shape for v in state] != [v.shape for v in self._variables]:
            raise ValueError(
                "`build` must return the same architecture each time; the shapes of its weights differ."
            )
        return state

    def _check_strength_reaches(self) -> None:
        self._strength.assign(1.0)
        reached = _penalty(self._model)
        self._strength.assign(0.0)
        if not reached > _penalty(self._model):
            raise ValueError(
                "`build(l2)` returned a model whose penalty does not depend on `l2`: every strength would "
                "train the same. Hand `l2` to the builder, or end with `return L2Policy.of(l2).apply(model)`."
            )

    def _choose_objective(self) -> str:
        names = ["val_data_loss"] + [f"val_{name}" for name in _results(self._model) if name != "loss"]
        self._model.reset_metrics()
        wanted = self.job.objective
        if wanted is None:
            return "val_accuracy" if "val_accuracy" in names else names[0]
        if wanted in ("loss", "val_loss"):
            raise ValueError(
                f"`objective`={wanted!r} contains the penalty and so favours none. Use one of {names}."
            )
        if wanted not in names:
            raise ValueError(f"`objective` must be one of {names}, got objective={wanted!r}.")
        return wanted

    def _weight_norm(self) -> float:
        penalised = [w.variable for w in weights_of(self._model) if w.variable.regularizer is not None]
        return float(np.sqrt(sum(np.sum(value.astype("float64") ** 2) for value in _values(penalised))))


def _values(variables: list) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _results(model: keras.Model) -> dict[str, float]:
    results = model.get_metrics_result()
    return {name: float(ops.convert_to_numpy(value)) for name, value in results.items()}


def _penalty(model: keras.Model) -> float:
    terms = [w.variable.regularizer(w.variable) for w in weights_of(model) if _counts(w.variable)]
    return float(sum(float(ops.convert_to_numpy(term)) for term in terms))


def _plain_config(thing: Any) -> dict[str, Any]:
    """The numbers and words of a layer's or optimizer's config; names count what was made before it."""
    config = thing.get_config()
    if "learning_rate" in config and not isinstance(config["learning_rate"], float):
        config["learning_rate"] = json.dumps(config["learning_rate"], sort_keys=True, default=str)
    return {k: v for k, v in config.items() if k != "name" and isinstance(v, (bool, int, float, str))}


def _live_alone(regularizer: Any) -> bool:
    """Whether nothing is left of a penalty at strength 0."""
    return regularizer is None or (type(regularizer) is LiveL2 and not regularizer.l1)


def _counts(variable: Any) -> bool:
    return variable.regularizer is not None and variable.trainable
