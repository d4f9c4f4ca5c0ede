"""The trainings of a comparison: which there are, on which rows, and the scores that come out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2zoo.engine.folds import Division, Rows
from l2zoo.engine.identity import fingerprint, identity_of_model
from l2zoo.engine.job import Job
from l2zoo.engine.record import Record, Unit
from l2zoo.engine.run import Run
from l2zoo.engine.warm_model import copy_values
from l2zoo.studies.compare.findings import Standing
from l2zoo.studies.compare.progress import ComparisonProgress
from l2zoo.studies.compare.selection import best_strength, held_out_scores
from l2zoo.studies.compare.variants import Variant

Wanted = dict[str, list[tuple[Variant, float, int, int]]]
"""Of each variant: itself, a strength, a seed and a fold."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Gives pairs of training and held-out rows for a seed: the folds, and then the test set if there is one.

    Attributes:
        trained: How many training rows there are.
        division: Of the training rows into folds; None for none.
        tested: How many test rows follow the training rows.
    """

    trained: int
    division: Division | None
    tested: int = 0

    def __call__(self, seed: int) -> list[Rows]:
        pairs = self.division(seed) if self.division else []
        whole = np.arange(self.trained + self.tested)
        return [*pairs, (whole[: self.trained], whole[self.trained :])] if self.tested else pairs

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return self.division.count if self.division else 0

    @property
    def test(self) -> int:
        """The number of the pair that holds the test set."""
        return self.folds

    def examples(self, fold: int) -> int:
        """How many rows a pair trains on, but for one or two."""
        if self.division is None or fold == self.folds:
            return self.trained
        return self.division.examples(fold)

    def identity(self, seeds: Sequence[int]) -> int | str:
        """The number of folds where it tells all of them, else a hash of their rows."""
        if self.division is None or self.division.number:
            return self.folds
        return fingerprint(*(rows for seed in seeds for pair in self.division(seed) for rows in pair))


class Trainings:
    """Trains variants; what the ledger has is not trained again as long as it is what it was.

    Args:
        job: What is trained: its `build` takes the name of a variant, a strength and a number of examples.
        run: Trains it.
        splits: Of the rows.
        progress: What is shown.
    """

    def __init__(self, job: Job, run: Run, splits: Splits, progress: ComparisonProgress):
        self.splits = splits
        self._job, self._run, self._progress = job, run, progress
        self._identities: dict[tuple[str, float, int], str] = {}

    def records(self, wanted: Wanted) -> dict[str, list[Record]]:
        """The records of each variant, all of them trained now or before."""
        units = {name: [self._unit(*one) for one in each] for name, each in wanted.items()}
        every = [unit for each in units.values() for unit in each]
        self._progress.begin(self._run.missing(every))
        records = {record.unit: record for record in self._run.train(every)}
        return {name: [records[unit] for unit in each] for name, each in units.items()}

    def _unit(self, variant: Variant, strength: float, seed: int, fold: int) -> Unit:
        examples = self.splits.examples(fold)
        key = variant.name, strength, examples
        if key not in self._identities:
            job = self._job
            # With a seed, so that weights that are not drawn, as those that are loaded, are told apart.
            model = job.model({"variant": variant.name, "l2": strength, "examples": examples}, seed=0)
            identity = identity_of_model(model, epochs=job.epochs, batch_size=job.batch_size)
            self._identities[key] = f"{identity}-{fingerprint(*copy_values(model.variables))[:16]}"
        others = (("examples", examples), ("identity", self._identities[key]), ("variant", variant.name))
        return Unit(strength, fold, seed, others)


def train_variants(
    trainings: Trainings, variants: Sequence[Variant], seeds: Sequence[int], *, mode: str
) -> list[Standing]:
    """Trains everything there is to train, and gathers the scores.

    Args:
        trainings: Where.
        variants: What is compared.
        seeds: Of every variant.
        mode: `"max"` where more is better, `"min"` where less is.
    """
    if not trainings.splits.tested:
        records = _on_folds(trainings, variants, seeds)
        best = {v.name: best_strength(records[v.name], mode=mode) for v in variants}
    else:
        tuned = [v for v in variants if v.tuned]
        tried = _on_folds(trainings, tuned, seeds[:1])
        fixed: dict[str, float | None] = {v.name: v.candidates[0] for v in variants}
        best = fixed | {v.name: best_strength(tried[v.name], mode=mode) for v in tuned}
        records = _on_test_set(trainings, variants, best, seeds)
        # Of a variant whose trainings all failed there is nothing to test, only to tell.
        records |= {v.name: tried[v.name] for v in tuned if best[v.name] is None}
    return [
        Standing(
            v.name,
            held_out_scores(records[v.name], mode=mode),
            strength=best[v.name] if v.strengths else None,
            parts={(r.unit.seed, r.unit.fold): r.parts for r in records[v.name] if r.parts},
            failed=sum(record.status == "failed" for record in records[v.name]),
        )
        for v in variants
    ]


def _on_folds(
    trainings: Trainings, variants: Sequence[Variant], seeds: Sequence[int]
) -> dict[str, list[Record]]:
    folds = range(trainings.splits.folds)
    return trainings.records(
        {
            v.name: [(v, s, seed, fold) for s in v.candidates for seed in seeds for fold in folds]
            for v in variants
        }
    )


def _on_test_set(
    trainings: Trainings,
    variants: Sequence[Variant],
    strengths: Mapping[str, float | None],
    seeds: Sequence[int],
) -> dict[str, list[Record]]:
    fold, wanted = trainings.splits.test, {}
    for variant in variants:
        strength = strengths[variant.name]
        wanted[variant.name] = [] if strength is None else [(variant, strength, seed, fold) for seed in seeds]
    return trainings.records(wanted)
