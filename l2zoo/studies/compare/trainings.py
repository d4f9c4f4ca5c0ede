"""The trainings of a comparison: what must be trained, what is finished already, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from l2zoo.engine.ledger import Ledger
from l2zoo.engine.local import Engine, Work, outcomes
from l2zoo.engine.record import Record, Unit
from l2zoo.studies.compare.findings import Standing
from l2zoo.studies.compare.models import Maker, identity
from l2zoo.studies.compare.progress import ComparisonProgress
from l2zoo.studies.compare.selection import chosen, honest_scores
from l2zoo.studies.compare.splits import Division
from l2zoo.studies.compare.variants import Variant

Wanted = dict[str, list[tuple[Variant, float, int, int]]]
"""Of each variant: itself, a strength, a seed and a fold."""


class Trainings:
    """Trains what the ledger lacks.

    Args:
        engine: Where.
        ledger: What is finished.
        progress: What is shown.
        maker: Of models.
        division: Of the rows.
    """

    def __init__(
        self, engine: Engine, ledger: Ledger, progress: ComparisonProgress, maker: Maker, division: Division
    ):
        self.division = division
        self._engine, self._ledger, self._progress, self._maker = engine, ledger, progress, maker
        self._identities: dict[tuple[str, float, int], str] = {}

    def run(self, wanted: Wanted) -> dict[str, list[Record]]:
        """The records of each variant.

        One that is finished is not trained again, as long as its model and training are what they were.
        """
        units = {name: [self._unit(*one) for one in each] for name, each in wanted.items()}
        missing = [unit for each in units.values() for unit in each if self._ledger.get(unit) is None]
        self._progress.begin(missing, of=sum(map(len, units.values())))
        for outcome in outcomes(self._engine, map(Work, missing)):
            self._ledger.append(outcome.record)
            self._progress.record(outcome.record)
        return {name: [self._record(unit) for unit in each] for name, each in units.items()}

    def _record(self, unit: Unit) -> Record:
        record = self._ledger.get(unit)
        assert record is not None
        return record

    def _unit(self, variant: Variant, strength: float, seed: int, fold: int) -> Unit:
        examples = self.division.examples(fold)
        key = variant.name, strength, examples
        if key not in self._identities:
            model = self._maker({"variant": variant.name, "l2": strength, "examples": examples})
            self._identities[key] = identity(model, variant.training(self._maker.training))
        others = (("examples", examples), ("identity", self._identities[key]), ("variant", variant.name))
        return Unit(strength, fold, seed, others)


def standings(
    trainings: Trainings, variants: Sequence[Variant], seeds: Sequence[int], *, mode: str
) -> list[Standing]:
    """Trains everything there is to train, and gathers the scores.

    Args:
        trainings: Where.
        variants: What is compared.
        seeds: Of every variant.
        mode: `"max"` where more is better, `"min"` where less is.
    """
    if not trainings.division.tested:
        records = _on_folds(trainings, variants, seeds)
        best = {v.name: chosen(records[v.name], mode=mode) for v in variants}
    else:
        tuned = [v for v in variants if v.tuned]
        tried = _on_folds(trainings, tuned, seeds[:1])
        fixed: dict[str, float | None] = {v.name: v.candidates[0] for v in variants}
        best = fixed | {v.name: chosen(tried[v.name], mode=mode) for v in tuned}
        records = _on_test_set(trainings, variants, best, seeds)
        # Of a variant whose trainings all failed there is nothing to test, only to tell.
        records |= {v.name: tried[v.name] for v in tuned if best[v.name] is None}
    return [
        Standing(
            v.name,
            honest_scores(records[v.name], mode=mode),
            strength=best[v.name] if v.strengths else None,
            failed=sum(record.status == "failed" for record in records[v.name]),
        )
        for v in variants
    ]


def _on_folds(
    trainings: Trainings, variants: Sequence[Variant], seeds: Sequence[int]
) -> dict[str, list[Record]]:
    folds = range(trainings.division.folds)
    return trainings.run(
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
    fold, wanted = trainings.division.test, {}
    for variant in variants:
        strength = strengths[variant.name]
        wanted[variant.name] = [] if strength is None else [(variant, strength, seed, fold) for seed in seeds]
    return trainings.run(wanted)
