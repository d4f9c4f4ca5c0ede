"""What a comparison found: where each variant stands, what may be said of it, and what may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from l2zoo.engine.folds import Division
from l2zoo.reports.numbers import decimals, format_difference, format_mean, metric_name
from l2zoo.stats import summary
from l2zoo.stats.paired import (
    Difference,
    crossed_difference,
    difference,
    holm,
    mean_by_fold,
    shared_part,
    steps_of,
)
from l2zoo.studies.compare.selection import Scores

LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a variant stands.

    Attributes:
        name: Of the variant.
        scores: Of each (seed, fold); fold 0 is all there is with a test set.
        strength: That it was trained with, or that all folds together choose; None where there is no choice.
        failed: How many of its trainings failed.
        difference: To the baseline; None for the baseline itself, and where too few trainings finished.
        parts: The scores on parts of the test images, of each (seed, fold), where there is a test set.
        p_holm: Of that difference, corrected for all the comparisons (Holm).
    """

    name: str
    scores: Scores
    strength: float | None = None
    failed: int = 0
    difference: Difference | None = None
    p_holm: float | None = None
    parts: Mapping[tuple[int, int], Sequence[float]] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def mean(self) -> float:
        """Mean score; NaN if no training finished."""
        return summary.mean(self.scores.values())

    @property
    def standard_error(self) -> float:
        """That of the mean, over the seeds of that of each seed's folds; NaN below two scores."""
        return summary.standard_error_of_folds(self.scores)


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a comparison found, as values.

    Attributes:
        standings: One for each variant, in the order in which they were given.
        baseline: Name of the variant with which the others were compared.
        metric: What the scores are.
        mode: `"max"` where more is better, `"min"` where less is.
        seeds: How many.
        folds: How many; 0 where the scores are those on a test set.
        settings: What the scores depend on, in plain values.
        seconds: How long this call took.
    """

    standings: Sequence[Standing]
    baseline: str
    metric: str
    mode: str
    seeds: int
    folds: int
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    seconds: float = 0.0

    def __getitem__(self, name: str) -> Standing:
        return next(each for each in self.standings if each.name == name)

    def digits(self, usual: int) -> int:
        """Decimals that the scores need."""
        return decimals((each.mean for each in self.standings), usual=usual)

    @property
    def others(self) -> list[Standing]:
        """All but the baseline."""
        return [each for each in self.standings if each.name != self.baseline]

    def verdict(self, standing: Standing) -> str:
        """`"baseline"`, `"better"`, `"worse"`, `"unclear"` (it may be chance), or `"not compared"`."""
        if standing.name == self.baseline:
            return "baseline"
        if standing.difference is None or standing.p_holm is None:
            return "not compared"
        if standing.p_holm >= LEVEL:
            return "unclear"
        return "better" if summary.sign_of(self.mode) * standing.difference.mean > 0 else "worse"


def differences(standings: Sequence[Standing], *, baseline: str, division: Division | None) -> list[Standing]:
    """The standings with their differences to the baseline, and Holm's correction over all of them.

    Args:
        standings: With scores, without differences.
        baseline: Name of one of them.
        division: Into the folds that the scores are on; None for those on a test set.
    """
    base = next(each for each in standings if each.name == baseline)
    units = {unit for each in standings for unit in each.scores}
    steps = steps_of({u: [each.scores[u] for each in standings if u in each.scores] for u in units})
    found: dict[str, Difference] = {}
    for each in standings:
        gap = (
            None if each is base else _difference(each, base, steps, division, comparisons=len(standings) - 1)
        )
        if gap is not None:
            found[each.name] = gap
    corrected = dict(zip(found, holm([gap.p for gap in found.values()]), strict=True))
    return [
        dataclasses.replace(each, difference=found.get(each.name), p_holm=corrected.get(each.name))
        for each in standings
    ]


def _difference(
    standing: Standing,
    base: Standing,
    steps: Mapping[tuple[int, int], float],
    division: Division | None,
    *,
    comparisons: int,
) -> Difference | None:
    common = [unit for unit in standing.scores if unit in base.scores]
    rounding = np.array([steps[unit] for unit in common])
    gains = np.array([standing.scores[unit] - base.scores[unit] for unit in common])
    if division is None:
        if not common:
            return None
        parts = np.array([np.subtract(standing.parts[unit], base.parts[unit]) for unit in common])
        mean = float(gains.mean())
        return crossed_difference(parts, mean=mean, rounding=rounding, comparisons=comparisons)
    if not division.varies:  # other seeds are no evidence about other data
        gains, rounding = mean_by_fold(gains, common), mean_by_fold(rounding, common)
    overlap = shared_part(division.overlap)
    return difference(gains, overlap=overlap, rounding=rounding, comparisons=comparisons)


def may_be_said(findings: Findings) -> str:
    """What the trainings show, in sentences."""
    metric, base = metric_name(findings.metric), findings[findings.baseline]
    by_verdict: dict[str, list[Standing]] = {}
    for each in findings.others:
        by_verdict.setdefault(findings.verdict(each), []).append(each)
    where = f"folds of {findings.seeds} divisions of the data" if findings.folds else "the test set"
    digits = findings.digits(3)
    score = format_mean(base.mean, base.standard_error, digits=digits)
    found = [f"In {metric}, on {where}, against {findings.baseline} ({score})"]
    told = [kind for kind in ("better", "worse") if kind in by_verdict]
    found[0] += ", with 95 % intervals and p by Holm:" if told else ":"
    for kind in told:
        named = [f"{each.name} {interval(each, p=True, digits=digits)}" for each in by_verdict[kind]]
        found.append(f"{kind} {_and(named)}{'.' if kind == told[-1] else ';'}")
    if same := by_verdict.get("unclear"):
        names = _and([each.name for each in same])
        found.append(f"{'T' if told else 't'}he difference of {names} cannot be told from chance.")
    if lost := by_verdict.get("not compared"):
        found.append(f"Too few trainings of {_and([each.name for each in lost])} finished to compare.")
    return " ".join(found)


def may_not_be_said(findings: Findings) -> str:
    """What one might read into the table, and would be wrong to."""
    found = [f"Not shown: that what cannot be told from {findings.baseline} is equal to it."]
    if len(findings.others) > 1:
        found.append(
            f"That one of the others is better than another: each is compared with {findings.baseline} alone."
        )
    if findings.folds:
        found.append("That it is so for other data, other models or longer training.")
    else:
        found.append(
            f"That it would be so with other training images: the {findings.seeds} seeds vary the initial "
            "weights and the order of the batches, and the intervals allow for other test images, but all "
            "were trained on the same ones. Nor for other models or longer training."
        )
    return " ".join(found)


def interval(standing: Standing, *, p: bool = False, digits: int = 3) -> str:
    """The difference of a variant that was compared, with its interval and, if asked, its corrected p."""
    gap = standing.difference
    assert gap is not None
    mean, low, high = (format_difference(each, digits=digits) for each in (gap.mean, gap.low, gap.high))
    return f"{mean} ({low} to {high}{f', {_p_value(standing.p_holm or 0.0)}' if p else ''})"


def _p_value(p: float) -> str:
    """How a p-value is printed: none is 0."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
