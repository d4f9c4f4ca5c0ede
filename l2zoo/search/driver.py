"""The loop of a search: an oracle is asked what to try, and told what came out of it.

The state of a search is its ledger alone. A search that goes on asks a new oracle from the start and
answers out of the ledger, as far as that reaches; so what was asked is the same as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner

from l2zoo.engine.job import Job
from l2zoo.engine.record import Record, Unit, Value
from l2zoo.engine.run import Run
from l2zoo.search import select, strategies
from l2zoo.search.candidates import Candidate, best, gather
from l2zoo.search.progress import SearchProgress
from l2zoo.search.select import Selection
from l2zoo.search.verdict import LOOKS, Verdict


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
        run: Trains it.
        oracle: What is tried.
        declare: Asks for hyperparameters, as the `build(hp)` of a hypermodel does.
        seeds: How often all is repeated.
        batch: How many configurations the oracle is asked for at a time; None for all it has.
        progress: What is shown of configurations.
        until: With an effect of some size the winner and 0 are trained on, on fresh divisions, until the
            verdict can tell it or `max_seeds` are used up; None for what the search itself says.
        max_seeds: Of the search and of fresh divisions together.
    """

    def __init__(
        self,
        job: Job,
        run: Run,
        oracle: keras_tuner.Oracle,
        *,
        declare: Callable[[keras_tuner.HyperParameters], Any],
        seeds: Sequence[int],
        batch: int | None,
        progress: SearchProgress,
        until: float | None = None,
        max_seeds: int = 20,
    ):
        self._job = job
        self._run = run
        self._oracle = oracle
        self._declare = declare
        self._seeds = seeds
        self._batch = batch
        self._progress = progress
        self._until = until
        self._max_seeds = max_seeds
        self._trials: dict[str, Trial] = {}
        self._records: dict[Unit, Record] = {}  # of this search: the ledger may hold more
        self._complete = 0

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
        return self._decide(list(self._records.values()))

    def _decide(self, searched: Sequence[Record]) -> Selection:
        """The answer, after as many looks at fresh divisions as it takes.

        A grid needs none, nor does random search of strengths alone: there, every fold can be left out of the
        choice. Where scores decided what was tried, given up, or with which other values 0 was trained, all
        folds had their say, and the winner is judged on divisions that chose nothing.
        """
        objective, looks = self._oracle.objective, 1 if self._until is None else LOOKS
        division, judged = self._job.division, list[Record]()
        if self._best_others() or strategies.is_adaptive(self._oracle):
            judged = self._fresh(len(self._seeds))
        for look in range(looks):
            selection = select.choose(
                searched,
                mode=objective.direction,
                metric=objective.name,
                overlap=division.overlap,
                divided_anew=division.varies,
                judged=judged,
                looks=looks,
                until=self._until,
            )
            seeds = len({record.unit.seed for record in judged})
            budget = self._max_seeds - len(self._seeds) - seeds
            rest = looks - 1 - look
            more = min(budget, seeds_for_next_look(selection.verdict, folds=division.count, rest=rest))
            if more < 1:
                break
            judged = self._fresh(seeds + more)
        return selection

    def _fresh(self, count: int) -> list[Record]:
        """Trainings of the best strength above 0 and of 0 with fresh seeds, which chose nothing."""
        others = self._best_others()
        above = [c for c in self._whole() if c.others == others and c.strength > 0 and c.n]
        if not above:
            return []
        winner = best(above, mode=self._oracle.objective.direction).strength
        first = max(self._seeds) + 1
        units = [self._units(s, others, seeds=range(first, first + count)) for s in (0.0, winner)]
        self._progress.fresh = True
        self._train([Trial(None, tuple(u for u in some if u not in self._records)) for some in units])
        self._progress.fresh = False
        return [self._records[unit] for some in units for unit in some]

    @property
    def records(self) -> tuple[Record, ...]:
        """All trainings of this search, those of an earlier run included; the ledger may hold more."""
        return tuple(self._records.values())

    def _ask(self) -> list[Trial]:
        """All the configurations that the oracle can name before it is told more."""
        trials: list[Trial] = []
        while self._batch is None or len(trials) < self._batch:
            asked = strategies.ask(self._oracle, f"l2zoo-{len(self._trials)}", declare=self._declare)
            if asked.status in ("STOPPED", "IDLE"):
                break
            trial = self._trial(asked)
            self._trials[asked.trial_id] = trial
            trials.append(trial)
        return trials

    def _trial(self, asked: Any) -> Trial:
        values, plan = split_plan(asked.hyperparameters.values)
        strength, others = strength_and_others(values, self._job.strength)
        end: int | None = int(plan.get("tuner/epochs", self._job.epochs))
        end = None if end == self._job.epochs else end
        units = self._units(strength, others, begin=int(plan.get("tuner/initial_epoch", 0)), end=end)
        before = self._trials.get(str(plan.get("tuner/trial_id")))
        return Trial(asked, units, before.units if before else ())

    def _zero(self, others: tuple[tuple[str, Value], ...]) -> list[Trial]:
        """Strength 0, unless it is trained already or the oracle has asked for it."""
        zero = Trial(None, self._units(0.0, others))
        known = {unit for trial in self._trials.values() for unit in trial.units} | self._records.keys()
        return [] if known.issuperset(zero.units) else [zero]

    def _best_others(self) -> tuple[tuple[str, Value], ...]:
        """The other hyperparameters with which strength 0 is compared; any, if every training failed."""
        whole = self._whole()
        if any(candidate.n for candidate in whole):
            return best(whole, mode=self._oracle.objective.direction).others
        return next(iter(self._records)).others

    def _whole(self) -> list[Candidate]:
        """What the search has trained to the end; fresh divisions judge and are not among it."""
        records = self._records.values()
        return gather(r for r in records if r.unit.end is None and r.unit.seed in self._seeds)

    def _units(
        self,
        strength: float,
        others: tuple[tuple[str, Value], ...],
        begin: int = 0,
        end: int | None = None,
        *,
        seeds: Sequence[int] | None = None,
    ) -> tuple[Unit, ...]:
        folds = range(self._job.division.count)
        seeds = self._seeds if seeds is None else seeds
        return tuple(Unit(strength, fold, seed, others, begin, end) for seed in seeds for fold in folds)

    def _train(self, trials: Sequence[Trial]) -> None:
        """Trains what the ledger lacks, and shows each configuration that is complete."""
        homes = {unit: trial for trial in trials for unit in trial.units}
        after = {u: b for trial in trials for u, b in zip(trial.units, trial.before, strict=False)}
        for record in self._run.train(list(homes), after=after):
            self._records[record.unit] = record
            trial = homes[record.unit]
            if all(unit in self._records for unit in trial.units):
                self._complete += 1
                of = max(len(self._trials), self._oracle.max_trials or 0, self._complete)
                self._progress.finish(self._candidate(trial), number=self._complete, of=of)

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


def seeds_for_next_look(verdict: Verdict, *, folds: int, rest: int) -> int:
    """How many fresh seeds to train before the next look; 0 if there is nothing more to be told.

    Args:
        verdict: Of the last look, with the effect that is to be told.
        folds: Trainings of a strength with one seed.
        rest: How many looks there are left. The first of them takes its part of what is missing.
    """
    if not rest or verdict.is_told or not verdict.pairs:
        return 0
    assert verdict.until is not None
    missing = verdict.needed(verdict.until) + (0 if verdict.fresh else verdict.pairs)
    return 0 if math.isinf(missing) else math.ceil(missing / folds / rest)


def strength_and_others(
    values: dict[str, Value], strength: str
) -> tuple[float, tuple[tuple[str, Value], ...]]:
    """The strength among the hyperparameters of a model, and the others in order of their names.

    In a configuration of a conditional scope that does not ask for the strength, there is no L2: it is 0.
    """
    others = tuple(sorted((name, value) for name, value in values.items() if name != strength))
    return float(values.get(strength, 0.0)), others


def split_plan(values: dict[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """The hyperparameters of a model, and what Hyperband puts among them."""
    plan = {name: value for name, value in values.items() if name.startswith("tuner/")}
    return {name: value for name, value in values.items() if name not in plan}, plan
