"""What a worker does: it trains units, on as few models as it can."""

from __future__ import annotations

import copy
import functools
import gc
import random
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.engine.checks import check_accuracy, check_callbacks, check_rate_is_free
from l2zoo.engine.folds import Rows
from l2zoo.engine.identity import fingerprint, identity_of_job
from l2zoo.engine.job import Job
from l2zoo.engine.live_numbers import Numbers, numbers_of, structure_of
from l2zoo.engine.objective import choose_objective
from l2zoo.engine.record import Record, State, Unit, Value
from l2zoo.engine.warm_model import WarmModel, copy_values
from l2zoo.regularization.weights import Weight
from l2zoo.tasks.checks import check_place_labels
from l2zoo.training.alarms import COLLAPSED

KEEP = 4  # warm models of different structure that a worker holds at the same time
STILL = 1e-3  # the held-out loss of a constant changes by less, relatively, from epoch to epoch
Parts = tuple[tuple[bool, bool], ...]  # of `Numbers.penalised`


@dataclass(frozen=True)
class _End:
    """How a training ended: its score, why it failed or was stopped, and the state that it is continued from.

    `restored` is the epoch whose weights were restored.
    """

    score: float | None = None
    reason: str = ""
    restored: int | None = None
    parts: tuple[float, ...] = ()
    state: State | None = None


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
        self._rows = functools.cache(job.rows)
        check_callbacks(job.callbacks)
        warm, _ = self._warm_model(job.reference, seed=0)
        self._check_strength_reaches()
        check_place_labels(warm.model, job.y)
        self.objective = choose_objective(warm.names, job.objective)
        check_accuracy(warm.model, job.y, self.objective)

    def identity(self) -> dict[str, Any]:
        """What the scores depend on besides the data, as JSON values: the model and how it is trained."""
        warm, _ = self._warm_model(self.job.reference, seed=0)
        return identity_of_job(self.job, warm, objective=self.objective)

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
        warm, numbers = self._warm_model(self.job.values(unit), seed=unit.seed)
        warm.reset(numbers, seed=unit.seed)
        collapse = Collapse(warm.telling_kernels)
        if state is not None:
            warm.reset(numbers, seed=unit.seed, state=state)
        rows = self._rows(unit.seed)[unit.fold]
        curves: dict[str, list[float]] = {}
        first = 0 if state is None else unit.begin
        end = self._train(warm, unit, first, rows, curves, collapse, keep=keep)
        failed = end.score is None
        record = Record(
            unit,
            status="failed" if failed else "done",
            score=end.score,
            reason=end.reason,
            seconds=time.perf_counter() - started,
            epochs=first + len(curves["loss"]) if end.restored is None else end.restored,
            trained=len(curves["loss"]),
            curves=curves,
            weight_norm=warm.weight_norm(),
            penalty=warm.penalty(),
            parts=end.parts,
        )
        return record, None if failed else end.state

    def train_on_all(self, values: dict[str, Value], *, seed: int, epochs: int) -> State:
        """Trains on all rows and returns weights and optimizer state, for `Job.final_model`.

        Raises:
            FloatingPointError: The loss became infinite or NaN.
        """
        order = seed, len(self._rows(seed))
        try:
            return self.train_on(np.arange(len(self.job.x)), values, seed=seed, order=order, epochs=epochs)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"The final training with {values} {error}, though its folds did not. Choose a smaller "
                "strength or learning rate."
            ) from None

    def train_on(
        self, rows: np.ndarray, values: dict[str, Value], *, seed: int, order: Sequence[int], epochs: int
    ) -> State:
        """Trains on rows, with none held out, and returns weights and optimizer state.

        Callbacks that look at a fold (those that `monitor` something) have nothing to look at here and are
        left out.

        Args:
            rows: `(n,)`, in any order.
            values: Of the hyperparameters.
            seed: Of the initial weights.
            order: Whole numbers from which the order of the rows in every epoch follows.
            epochs: How many.

        Raises:
            FloatingPointError: The loss became infinite or NaN; its text, "diverged in epoch 3 of 10", is for
                whoever knows what was trained.
        """
        warm, numbers = self._warm_model(values, seed=seed)
        warm.reset(numbers, seed=seed)
        callbacks = self._callbacks(warm, steps=warm.steps(len(rows)), monitoring=False)
        for epoch, results in _epochs(warm, rows, range(epochs), order=order, callbacks=callbacks):
            try:
                callbacks.on_epoch_end(epoch, _with_own_names(results, warm.names))
            except KeyError as error:
                error.add_note(
                    "A training on all rows has nothing held out, as the final one of a search: there are no "
                    f"`val_` scores, only {sorted(results)}. Let the callback ask with logs.get(...)."
                )
                raise
            if not np.isfinite(results["loss"]):
                raise FloatingPointError(f"diverged in epoch {epoch + 1} of {epochs}")
        warm.finish()
        callbacks.on_train_end()
        return warm.state()

    def _train(
        self,
        warm: WarmModel,
        unit: Unit,
        first: int,
        rows: Rows,
        curves: dict[str, list[float]],
        collapse: Collapse,
        *,
        keep: bool,
    ) -> _End:
        """Fills the curves, and says how it ended."""
        callbacks = self._callbacks(warm, steps=warm.steps(len(rows[0])))
        reason = ""
        epochs, order = range(first, unit.end or self.job.epochs), (unit.seed, unit.fold)
        for epoch, results in _epochs(warm, rows[0], epochs, order=order, callbacks=callbacks):
            results |= _held_out(warm, rows[1], callbacks)
            for name, value in results.items():
                curves.setdefault(name, []).append(value)
            if not np.isfinite([results["loss"], results["val_data_loss"], results[self.objective]]).all():
                return _End(reason=f"the loss became {results['loss']} in {self._epoch(epoch)}")
            if callbacks.callbacks:
                # Keras's `val_loss` has the penalty in it; callbacks get what they are used to.
                logs = {**results, "val_loss": results["val_data_loss"] + warm.penalty()}
                callbacks.on_epoch_end(epoch, _with_own_names(logs, warm.names))
                if warm.model.stop_training:
                    break
            if collapse.after_epoch(results["val_data_loss"]):
                reason = f"the weights collapsed, and it was stopped after {self._epoch(epoch)}"
                break
        return self._end(warm, rows, curves, callbacks, reason, keep=keep)

    def _end(
        self,
        warm: WarmModel,
        rows: Rows,
        curves: dict[str, list[float]],
        callbacks: keras.callbacks.CallbackList,
        reason: str,
        *,
        keep: bool,
    ) -> _End:
        """The end of a training as Keras has it: averages become weights, and callbacks restore better ones.

        Another unit goes on from the weights before they were averaged, as an uninterrupted training would.
        """
        state = warm.state() if keep and warm.averages else None
        warm.finish()
        callbacks.on_train_end()
        restored = _restored_epoch(callbacks.callbacks)
        if keep and (state is None or restored is not None):
            state = warm.state()
        score = curves[self.objective][-1]
        if warm.averages or callbacks.callbacks:
            score = warm.evaluate(rows[1])[self.objective.removeprefix("val_")]
        if not np.isfinite(score):
            return _End(reason=f"the score of its last weights is {score}")
        return _End(score, reason, restored, self._by_parts(score, warm, rows[1]), state)

    def _by_parts(self, score: float, warm: WarmModel, rows: np.ndarray) -> tuple[float, ...]:
        """What parts of held-out rows add to the score: the same parts for every training on these rows."""
        count = min(self.job.parts, len(rows))
        if count < 2:
            return ()
        parts = np.array_split(np.random.default_rng(0).permutation(rows), count)
        return tuple(warm.pseudo_values(parts, self.objective.removeprefix("val_"), whole=score))

    def _epoch(self, epoch: int) -> str:
        return f"epoch {epoch + 1} of {self.job.epochs}"

    def _callbacks(
        self, warm: WarmModel, *, steps: int, monitoring: bool = True
    ) -> keras.callbacks.CallbackList:
        """Copies of the job's callbacks, at the beginning of a training."""
        if warm.follows_schedule:
            check_rate_is_free(self.job.callbacks)
        mine = [c for c in copy.deepcopy(list(self.job.callbacks)) if monitoring or not hasattr(c, "monitor")]
        warm.model.stop_training = False
        callbacks = keras.callbacks.CallbackList(
            mine, model=warm.model, epochs=self.job.epochs, steps=steps, verbose=0
        )
        callbacks.on_train_begin()
        return callbacks

    def _warm_model(self, values: dict[str, Value], *, seed: int) -> tuple[WarmModel, Numbers]:
        """The warm model that can train with these values, and the numbers to assign to it."""
        built: list[keras.Model] = []
        structure, numbers = self._structure_and_numbers(values, seed=seed, built=built)
        warm = self._warm.get(structure)
        if warm is None or not _covers(warm.penalised, numbers.penalised):
            known = warm.penalised if warm is not None else self._reference_penalised(structure)
            penalised = _union(known, numbers.penalised) if known else numbers.penalised
            self._make_room(structure)
            warm = WarmModel(
                # The model that was built just now to read its numbers has the weights of this seed.
                lambda seed: built.pop() if built else self.job.model(values, seed=seed),
                self.job.training,
                self.job.held_out,
                batch_size=self.job.batch_size,
                penalised=penalised,
                seed=seed,
            )
            self._warm[structure] = warm
        self._warm.move_to_end(structure)
        return warm, numbers

    def _structure_and_numbers(
        self, values: dict[str, Value], *, seed: int | None = None, built: list[keras.Model] | None = None
    ) -> tuple[str, Numbers]:
        """What kind of model the values give, and its numbers; a model built for that is added to `built`."""
        key = repr(sorted(values.items()))
        if key not in self._known:
            others = sorted((k, v) for k, v in values.items() if k != self.job.strength)
            if built is not None and not others and not self._warm:
                model = self.job.model(values, seed=seed)
                built.append(model)
            else:
                # Not Keras's `set_random_seed`, which clears TensorFlow's cache of compiled graphs.
                random.seed(0)
                np.random.seed(0)
                model = self.job.model(values)
            structure, trusted = structure_of(model)
            if others:  # weights that are loaded may be others for other values
                structure += fingerprint(*copy_values(model.variables))
            if not trusted:  # then nothing but the strength may differ between two that share a model
                structure += repr(others)
            self._known[key] = structure, numbers_of(model)
        return self._known[key]

    def _reference_penalised(self, structure: str) -> Parts | None:
        """At strength 0 a model does not tell which weights would be penalised; the first one does."""
        reference, numbers = self._structure_and_numbers(self.job.reference)
        return numbers.penalised if reference == structure else None

    def _make_room(self, structure: str) -> None:
        """For one more warm model, in the place of one of this structure if there is one."""
        self._warm.pop(structure, None)
        while len(self._warm) >= KEEP:
            self._warm.popitem(last=False)
            gc.collect()  # a model is in a cycle with its graphs

    def _check_strength_reaches(self) -> None:
        strength = float(self.job.reference.get(self.job.strength, 0.0))
        if not strength:
            return
        twice = {**self.job.reference, self.job.strength: 2 * strength}
        (one, numbers), (other, others) = map(self._structure_and_numbers, (self.job.reference, twice))
        if (one, numbers.l2, numbers.l1) == (other, others.l2, others.l1):
            raise ValueError(
                f"The model's penalty does not depend on `{self.job.strength}`: every strength would train "
                "the same. Hand it to the builder, `build_cnn(..., l2=l2)`, or end with "
                "`return L2Policy.of(l2).apply(model)`."
            )


class Collapse:
    """Looks at a model after every epoch and says when the penalty has eaten its weights: it is a constant.

    Then at least half of the kernels are below `COLLAPSED` of the norm they began with, and the held-out
    loss stands still.

    Args:
        kernels: `WarmModel.telling_kernels`, at their initial weights.
    """

    def __init__(self, kernels: Sequence[Weight]):
        self._kernels = kernels
        self._start = _norms(self._kernels)
        self._last = np.inf

    def after_epoch(self, held_out_loss: float) -> bool:
        """Whether the training has collapsed, after an epoch that ended with this loss."""
        moved, self._last = abs(held_out_loss - self._last), held_out_loss
        if not self._kernels or not moved <= STILL * abs(held_out_loss):
            return False
        small = _norms(self._kernels) < COLLAPSED * self._start
        return bool(2 * small.sum() >= len(small))


def _epochs(
    warm: WarmModel,
    rows: np.ndarray,
    epochs: range,
    *,
    order: Sequence[int],
    callbacks: keras.callbacks.CallbackList,
) -> Iterator[tuple[int, dict[str, float]]]:
    """The loop of every training: an epoch on all rows, in an order that `order` and its number give."""
    for epoch in epochs:
        callbacks.on_epoch_begin(epoch)
        shuffled = np.random.default_rng((*order, epoch)).permutation(rows)
        yield epoch, warm.train_epoch(shuffled, epoch=epoch)


def _norms(kernels: Sequence[Weight]) -> np.ndarray:
    return np.array([np.linalg.norm(ops.convert_to_numpy(w.variable)) for w in kernels])


def _covers(have: Parts, need: Parts) -> bool:
    return _union(have, need) == have


def _union(one: Parts, other: Parts) -> Parts:
    return tuple((a or c, b or d) for (a, b), (c, d) in zip(one, other, strict=True))


def _restored_epoch(callbacks: list[Any]) -> int | None:
    """The epoch, from 1, whose weights `EarlyStopping` has put back."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
            return callback.best_epoch + 1
    return None


def _held_out(warm: WarmModel, rows: np.ndarray, callbacks: keras.callbacks.CallbackList) -> dict[str, float]:
    """The metrics on held-out rows, with callbacks told as Keras tells them: some swap weights for it."""
    callbacks.on_test_begin()
    results = warm.evaluate(rows)
    callbacks.on_test_end(results)
    return {f"val_{name}": value for name, value in results.items()}


def _with_own_names(logs: dict[str, float], names: dict[str, str]) -> dict[str, float]:
    """Logs for callbacks, in which a metric is found by the name that Keras gave it as well."""
    own = {f"{before}{own}": f"{before}{name}" for own, name in names.items() for before in ("", "val_")}
    return {**{name: logs[stable] for name, stable in own.items() if stable in logs}, **logs}
