"""The loop of a search: an oracle is asked what to try, an engine trains it, the ledger keeps what came out.

The state of a search is its ledger alone. A search that goes on asks a new oracle from the start and
answers out of the ledger, as far as that reaches; so what was asked is the same as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras_tuner

from l2zoo.engine.job import Job
from l2zoo.engine.ledger import Ledger
from l2zoo.engine.local import Engine, Outcome, Work, outcomes
from l2zoo.engine.record import Record, Unit, Value
from l2zoo.engine.states import States
from l2zoo.search import select, strategies
from l2zoo.search.candidates import Candidate, best, gather
from l2zoo.search.progress import SearchProgress
from l2zoo.search.select import Selection


@dataclass(frozen=True)
class Trial:
    """A configuration that the oracle asked for, and its trainings."""

    asked: Any
    units: tuple[Unit, ...]
    before: tuple[Unit, ...] = ()  # the units that these go on from


class Driver:
    """Runs one search.

    Args:
        job: What is trained.
        engine: Where.
        oracle: What is tried.
        ledger: What is finished.
        states: Weights of trainings that others may go on from.
        seeds: How often all is repeated.
        batch: How many configurations the oracle is asked for at a time; None for all it has.
        progress: What is shown.
    """

    def __init__(
        self,
        job: Job,
        engine: Engine,
        oracle: keras_tuner.Oracle,
        *,
        ledger: Ledger,
        states: States,
        seeds: Sequence[int],
        batch: int | None,
        progress: SearchProgress,
    ):
        self._job = job
        self._engine = engine
        self._oracle = oracle
        self._ledger = ledger
        self._states = states
        self._seeds = seeds
        self._batch = batch
        self._progress = progress
        self._trials: dict[str, Trial] = {}
        self._records: dict[Unit, Record] = {}  # of this search: the ledger may hold more
        self._continued: dict[Unit, Record] = {}  # by what goes on: what it goes on from
        self._finished = 0

    def run(self) -> Selection:
        """Searches until the oracle has no more to ask; strength 0 is trained in any case.

        Raises:
            ValueError: Every training failed.
        """
        while trials := self._ask():
            # Where nothing but the strength is searched, 0 need not wait for the best other values.
            first = not self._records and not trials[0].units[0].others
            self._train([*self._zero(()), *trials] if first else trials)
            for trial in trials:
                self._tell(trial)
        self._train(self._zero(self._best_others()))
        objective = self._oracle.objective
        selection = select.choose(
            self._records.values(), mode=objective.direction, metric=self._engine.objective
        )
        self._states.clear()
        return selection

    def _zero(self, others: tuple[tuple[str, Value], ...]) -> list[Trial]:
        """Strength 0, unless it is trained already or the oracle has asked for it."""
        zero = Trial(None, self._units(0.0, others))
        known = {unit for trial in self._trials.values() for unit in trial.units} | self._records.keys()
        return [] if known.issuperset(zero.units) else [zero]

    @property
    def records(self) -> tuple[Record, ...]:
        """All trainings of this search, those of an earlier run included; the ledger may hold more."""
        return tuple(self._records.values())

    def _best_others(self) -> tuple[tuple[str, Value], ...]:
        """The other hyperparameters with which strength 0 is compared; any, if every training failed."""
        whole = gather(record for record in self._records.values() if record.unit.end is None)
        if any(candidate.n for candidate in whole):
            return best(whole, mode=self._oracle.objective.direction).others
        return next(iter(self._records)).others

    def _ask(self) -> list[Trial]:
        """All the configurations that the oracle can name before it is told more."""
        trials: list[Trial] = []
        while self._batch is None or len(trials) < self._batch:
            asked = strategies.ask(self._oracle, f"l2zoo-{len(self._trials)}")
            if asked.status in ("STOPPED", "IDLE"):
                break
            trial = self._trial(asked)
            self._trials[asked.trial_id] = trial
            trials.append(trial)
        return trials

    def _trial(self, asked: Any) -> Trial:
        values, plan = apart(asked.hyperparameters.values)
        strength = float(values.pop(self._job.strength))
        others = tuple(sorted(values.items()))
        end: int | None = int(plan.get("tuner/epochs", self._job.epochs))
        end = None if end == self._job.epochs else end
        units = self._units(strength, others, begin=int(plan.get("tuner/initial_epoch", 0)), end=end)
        before = self._trials.get(str(plan.get("tuner/trial_id")))
        return Trial(asked, units, before.units if before else ())

    def _units(
        self, strength: float, others: tuple[tuple[str, Value], ...], begin: int = 0, end: int | None = None
    ) -> tuple[Unit, ...]:
        folds = self._job.folds if isinstance(self._job.folds, int) else 1
        return tuple(
            Unit(strength, fold, seed, others, begin, end) for seed in self._seeds for fold in range(folds)
        )

    def _train(self, trials: list[Trial]) -> None:
        """Trains what the ledger lacks, and writes down each outcome as soon as it is there."""
        units = [unit for trial in trials for unit in trial.units]
        if not units:
            return
        kept = sum(self._ledger.get(unit) is not None for unit in units)
        self._progress.expect(len(units))
        if kept:
            self._progress.skip(kept, of=len(units))
        homes = {unit: trial for trial in trials for unit in trial.units}
        for outcome in outcomes(self._engine, self._work(trials)):
            self._take(outcome, homes)

    def _work(self, trials: list[Trial]) -> Iterator[Work]:
        """What is to be trained; what the ledger has is taken from there."""
        for trial in trials:
            for unit, before in zip(trial.units, trial.before or (None,) * len(trial.units), strict=True):
                kept = self._ledger.get(unit)
                if kept is not None:
                    self._keep(kept, trial)
                elif before is not None and self._records[before].status == "failed":
                    failed = replace(self._records[before], unit=unit, trained=0, seconds=0.0)
                    self._keep(failed, trial)
                    self._progress.record(failed)
                else:
                    state = self._states.load(before) if before else None
                    if state is not None and before is not None:
                        self._continued[unit] = self._records[before]
                    yield Work(unit, state, keep=unit.end is not None)

    def _take(self, outcome: Outcome, homes: dict[Unit, Trial]) -> None:
        record = outcome.record
        before = self._continued.pop(record.unit, None)
        if before is not None:
            joined = {name: [*before.curves.get(name, ()), *more] for name, more in record.curves.items()}
            record = replace(record, curves=joined)
        if outcome.state is not None:
            self._states.save(record.unit, outcome.state)
        self._keep(record, homes[record.unit])
        self._progress.record(record)

    def _keep(self, record: Record, trial: Trial) -> None:
        self._ledger.append(record)
        self._records[record.unit] = record
        if all(unit in self._records for unit in trial.units):
            self._finished += 1
            of = max(len(self._trials), self._oracle.max_trials or 0, self._finished)
            self._progress.finish(self._candidate(trial), number=self._finished, of=of)

    def _tell(self, trial: Trial) -> None:
        """Tells the oracle the mean score of a trial; one that failed is as bad as the worst so far."""
        objective = self._oracle.objective
        score = self._candidate(trial).mean
        if math.isnan(score):
            known = [t.score for t in self._oracle.trials.values() if t.score is not None]
            score = (min if objective.direction == "max" else max)(known, default=0.0)
        self._oracle.update_trial(trial.asked.trial_id, {objective.name: score})
        trial.asked.status = "COMPLETED"
        self._oracle.end_trial(trial.asked)

    def _candidate(self, trial: Trial) -> Candidate:
        (candidate,) = gather(self._records[unit] for unit in trial.units)
        return candidate


def apart(values: dict[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """The hyperparameters of a model, and what Hyperband puts among them."""
    plan = {name: value for name, value in values.items() if name.startswith("tuner/")}
    return {name: value for name, value in values.items() if name not in plan}, plan
