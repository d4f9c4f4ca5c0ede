"""What a worker of a search does: it trains units, on as few models as it can."""

from __future__ import annotations

import copy
import functools
import gc
import hashlib
import itertools
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from l2zoo.engine.collapse import Collapse
from l2zoo.engine.job import Job, built, parts
from l2zoo.engine.ledger import fingerprint
from l2zoo.engine.live_numbers import Numbers, numbers_of, structure_of
from l2zoo.engine.record import Record, Unit, Value
from l2zoo.engine.warm_model import State, WarmModel
from l2zoo.tasks.checks import check_place_labels
from l2zoo.training.snapshot import callback_state

KEEP = 4  # warm models of different structure that a worker holds at the same time
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


@dataclass(frozen=True)
class _End:
    """How a training ended: why it failed or was stopped, and which epoch's weights were restored."""

    reason: str = ""
    failed: bool = False
    restored: int | None = None


class Trainer:
    """Trains units one after another; a model is built and traced once for all that differ in numbers alone.

    The same seed gives the same initial weights, the same batches and the same random numbers in the model
    for every strength, so differences between strengths are paired. What comes out of a unit does not
    depend on what was trained before it.

    Args:
        job: What to train, and on what.

    Attributes:
        objective: Name of the score.

    Raises:
        TypeError: `job.build` returns something else than a model.
        ValueError: The model ignores the strength it is given, or is a detector of too few classes; the
            objective is not there or contains the penalty; a callback wants to be called at every batch.
    """

    def __init__(self, job: Job):
        self.job = job
        self._warm: OrderedDict[str, WarmModel] = OrderedDict()
        self._known: dict[str, tuple[str, Numbers]] = {}
        self._parts = functools.cache(functools.partial(parts, job))
        _check_callbacks(job)
        self._check_strength_reaches()
        warm, _ = self._ready(job.reference, seed=0)
        check_place_labels(warm.model, job.y)
        self.objective = _choose_objective(warm, job.objective)
        self._identity = _identity(job, warm, self.objective)

    def identity(self) -> dict[str, Any]:
        """What the scores depend on besides the data, as JSON values: the model and how it is trained."""
        return self._identity

    def run(
        self, unit: Unit, *, state: State | None = None, keep: bool = False
    ) -> tuple[Record, State | None]:
        """Trains one unit and scores it on the held-out fold after every epoch.

        Args:
            unit: Which.
            state: That at the end of the unit that this one continues; None trains from the first epoch.
            keep: Whether to give back the state at the end.
        """
        started = time.perf_counter()
        warm, numbers = self._ready(self.job.values(unit), seed=unit.seed)
        warm.reset(numbers, seed=unit.seed)
        collapse = Collapse(warm.model)
        if state is not None:
            warm.reset(numbers, seed=unit.seed, state=state)
        train, held_out = self._parts(unit.seed)[unit.fold]
        curves: dict[str, list[float]] = {}
        first = 0 if state is None else unit.begin
        end = self._train(warm, unit, first, (train, held_out), curves, collapse)
        score, restored = curves[self.objective][-1], end.restored
        if restored is not None:
            score = warm.evaluate(held_out)[self.objective.removeprefix("val_")]
        record = Record(
            unit,
            status="failed" if end.failed else "done",
            score=None if end.failed else score,
            reason=end.reason,
            seconds=time.perf_counter() - started,
            epochs=first + len(curves["loss"]) if restored is None else restored,
            trained=len(curves["loss"]),
            curves=curves,
            weight_norm=warm.weight_norm(),
            penalty=warm.penalty(),
        )
        return record, warm.state() if keep and not end.failed else None

    def train_on_all(self, values: dict[str, Value], *, seed: int, epochs: int) -> State:
        """Trains on all rows and returns weights and optimizer state, for `finished`.

        Callbacks that look at a fold (those that `monitor` something) have nothing to look at here and are
        left out.

        Raises:
            FloatingPointError: The loss became infinite or NaN.
        """
        warm, numbers = self._ready(values, seed=seed)
        warm.reset(numbers, seed=seed)
        rows = np.arange(len(self.job.x))
        callbacks = self._callbacks(warm, monitoring=False)
        for epoch in range(epochs):
            callbacks.on_epoch_begin(epoch)
            key = (seed, len(self._parts(seed)), epoch)
            results = warm.train_epoch(np.random.default_rng(key).permutation(rows), epoch=epoch)
            callbacks.on_epoch_end(epoch, results)
            if not np.isfinite(results["loss"]):
                raise FloatingPointError(
                    f"The final training with {values} diverged in epoch {epoch + 1}, though its folds did "
                    "not. Choose a smaller strength or learning rate."
                )
        callbacks.on_train_end()
        return warm.state()

    def _train(
        self,
        warm: WarmModel,
        unit: Unit,
        first: int,
        rows: tuple[np.ndarray, np.ndarray],
        curves: dict[str, list[float]],
        collapse: Collapse,
    ) -> _End:
        """Fills the curves, and says how it ended."""
        callbacks = self._callbacks(warm)
        reason = ""
        for epoch in range(first, unit.end or self.job.epochs):
            callbacks.on_epoch_begin(epoch)
            shuffled = np.random.default_rng((unit.seed, unit.fold, epoch)).permutation(rows[0])
            results = warm.train_epoch(shuffled, epoch=epoch)
            results |= {f"val_{name}": value for name, value in warm.evaluate(rows[1]).items()}
            for name, value in results.items():
                curves.setdefault(name, []).append(value)
            if not np.isfinite([results["loss"], results["val_data_loss"], results[self.objective]]).all():
                return _End(f"the loss became {results['loss']} in {self._epoch(epoch)}", failed=True)
            if callbacks.callbacks:
                # Keras's `val_loss` has the penalty in it; callbacks get what they are used to.
                with_penalty = results["val_data_loss"] + warm.penalty()
                callbacks.on_epoch_end(epoch, {**results, "val_loss": with_penalty})
                if warm.model.stop_training:
                    break
            if collapse.seen(results["val_data_loss"]):
                reason = f"the weights collapsed, and it was stopped after {self._epoch(epoch)}"
                break
        callbacks.on_train_end()
        return _End(reason, restored=_restored(callbacks.callbacks))

    def _epoch(self, epoch: int) -> str:
        return f"epoch {epoch + 1} of {self.job.epochs}"

    def _callbacks(self, warm: WarmModel, *, monitoring: bool = True) -> keras.callbacks.CallbackList:
        """Copies of the job's callbacks, at the beginning of a training."""
        mine = [c for c in copy.deepcopy(list(self.job.callbacks)) if monitoring or not hasattr(c, "monitor")]
        warm.model.stop_training = False
        callbacks = keras.callbacks.CallbackList(mine, model=warm.model, epochs=self.job.epochs)
        callbacks.on_train_begin()
        return callbacks

    def _ready(self, values: dict[str, Value], *, seed: int) -> tuple[WarmModel, Numbers]:
        """The warm model that can train with these values, and the numbers to assign to it."""
        structure, numbers = self._read(values)
        warm = self._warm.get(structure)
        if warm is None or not _covers(warm.penalised, numbers.penalised):
            known = warm.penalised if warm is not None else self._reference_penalised(structure)
            penalised = _union(known, numbers.penalised) if known else numbers.penalised
            self._forget(structure)
            warm = WarmModel(
                functools.partial(built, self.job, values),
                self.job.x,
                self.job.y,
                batch_size=self.job.batch_size,
                penalised=penalised,
                seed=seed,
            )
            self._warm[structure] = warm
        self._warm.move_to_end(structure)
        return warm, numbers

    def _read(self, values: dict[str, Value]) -> tuple[str, Numbers]:
        """What kind of model the values give, and its numbers."""
        key = repr(sorted(values.items()))
        if key not in self._known:
            model = built(self.job, values)
            structure, trusted = structure_of(model)
            if not trusted:  # then nothing but the strength may differ between two that share a model
                structure += repr(sorted((k, v) for k, v in values.items() if k != self.job.strength))
            self._known[key] = structure, numbers_of(model)
        return self._known[key]

    def _reference_penalised(self, structure: str) -> tuple[tuple[bool, bool], ...] | None:
        """At strength 0 a model does not tell which weights would be penalised; the first one does."""
        reference, numbers = self._read(self.job.reference)
        return numbers.penalised if reference == structure else None

    def _forget(self, structure: str) -> None:
        self._warm.pop(structure, None)
        while len(self._warm) >= KEEP:
            self._warm.popitem(last=False)
            gc.collect()  # a model is in a cycle with its graphs

    def _check_strength_reaches(self) -> None:
        strength = float(self.job.reference[self.job.strength])
        twice = {**self.job.reference, self.job.strength: 2 * strength}
        if strength and self._read(self.job.reference) == self._read(twice):
            raise ValueError(
                f"The model's penalty does not depend on `{self.job.strength}`: every strength would train "
                "the same. Hand it to the builder, `build_cnn(..., l2=l2)`, or end with "
                "`return L2Policy.of(l2).apply(model)`."
            )


def _covers(have: tuple[tuple[bool, bool], ...], need: tuple[tuple[bool, bool], ...]) -> bool:
    return _union(have, need) == have


def _union(
    one: tuple[tuple[bool, bool], ...], other: tuple[tuple[bool, bool], ...]
) -> tuple[tuple[bool, bool], ...]:
    return tuple((a or c, b or d) for (a, b), (c, d) in zip(one, other, strict=True))


def _restored(callbacks: list[Any]) -> int | None:
    """The epoch, from 1, whose weights `EarlyStopping` has put back."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
            return callback.best_epoch + 1
    return None


def _check_callbacks(job: Job) -> None:
    for callback in job.callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(f"`callbacks` must be Keras callbacks, got {callback!r}.")
        for hook in _BATCH_HOOKS:
            if getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook):
                raise ValueError(
                    f"{type(callback).__name__} in `callbacks` wants to be called at every batch ({hook}), "
                    "but a search runs whole epochs inside the graph. Use callbacks that act between epochs."
                )


def _choose_objective(warm: WarmModel, wanted: str | None) -> str:
    names = ["val_data_loss"] + [f"val_{name}" for name in warm.results() if name != "loss"]
    if wanted is None:
        return "val_accuracy" if "val_accuracy" in names else names[0]
    if wanted in ("loss", "val_loss"):
        raise ValueError(
            f"`objective`={wanted!r} contains the penalty and so favours none. Use one of {names}."
        )
    if wanted not in names:
        raise ValueError(f"`objective` must be one of {names}, got objective={wanted!r}.")
    return wanted


def _identity(job: Job, warm: WarmModel, objective: str) -> dict[str, Any]:
    layers = [_plain_config(layer.get_config()) for layer in warm.model.layers]
    losses, optimizer = keras.tree.flatten(warm.model.loss), type(warm.model.optimizer).__name__
    found = {
        "model": fingerprint(*warm.fresh(0)),
        "layers": hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest(),
        "optimizer": {"class": optimizer, **_plain_config(warm.optimizer_config)},
        "loss": "+".join(map(_name_of_loss, losses)),
        "objective": objective,
        "epochs": job.epochs,
        "batch_size": job.batch_size,
        "folds": job.folds if isinstance(job.folds, int) else fingerprint(*itertools.chain(*parts(job, 0))),
        "backend": keras.backend.backend(),
    }
    if job.callbacks:
        found["callbacks"] = [{"class": type(c).__name__, **_words(callback_state(c))} for c in job.callbacks]
    return found


def _name_of_loss(loss: Any) -> str:
    return loss if isinstance(loss, str) else getattr(loss, "name", type(loss).__name__)


def _plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """The numbers and words of a layer's or optimizer's config; names count what was made before it."""
    if "learning_rate" in config and not isinstance(config["learning_rate"], float):
        rate = json.dumps(config["learning_rate"], sort_keys=True, default=str)
        config = {**config, "learning_rate": rate}
    return _words({name: value for name, value in config.items() if name != "name"})


def _words(config: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if isinstance(v, (bool, int, float, str))}
