"""Does L2 help here? The answer in one sentence, from paired differences to strength 0 on the same folds.

One interval decides: of the gain of the strength that the other folds choose (`held_out_gains`). Above 0, L2
helps; below 0, even the best strength hurts; otherwise the trainings cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from l2zoo.engine.record import Record
from l2zoo.reports.numbers import decimals, format_difference, format_strength, metric_name
from l2zoo.search.candidates import Candidate, best, eligible
from l2zoo.stats.paired import corrected_interval, held_out_gains, mean_by_fold, rounding_of
from l2zoo.stats.summary import mean, sign_of


@dataclass(frozen=True)
class Verdict:
    """Whether L2 helps here; `str()` gives the sentence.

    Args:
        outcome: `"helps"`, `"hurts"` or `"no difference"`: none that these trainings can show.
        sentence: The answer for people, with its numbers.
        strength: The best strength above 0, with which 0 was compared; None if there is none.
        baseline: Mean score at strength 0, over the paired trainings.
        score: Mean score at `strength`, over the paired trainings.
        difference: `score - baseline`; it flatters the chosen strength.
        gain: The same with the strength chosen by the other folds: honest, but for another strength where
            the folds do not agree.
        low: Lower end of the 95 % interval of `gain`.
        high: Its upper end.
        pairs: How many paired trainings stand behind the interval.
    """

    outcome: str
    sentence: str
    strength: float | None = None
    baseline: float = math.nan
    score: float = math.nan
    difference: float = math.nan
    gain: float = math.nan
    low: float = math.nan
    high: float = math.nan
    pairs: int = 0

    def __str__(self) -> str:
        return self.sentence


def verdict_of(
    candidates: Sequence[Candidate],
    *,
    mode: str = "max",
    metric: str = "score",
    overlap: float | None = None,
    divided_anew: bool = True,
) -> Verdict:
    """Compares the best strength above 0 with strength 0.

    Where L2 has no effect, "helps" comes out in about 1 of 100 searches of 12 strengths, and in about 1 of 20
    if the folds agree by chance as much as the correction for their shared training data allows for.

    Args:
        candidates: All strengths of the search, 0 among them.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
        metric: What the scores are, for the sentence.
        overlap: Held-out over training rows of a fold, as they were divided; by default that of equal folds.
        divided_anew: Whether every seed divides the data otherwise. If not, seeds are no other evidence about
            other data: the gains of a fold are averaged over them first.
    """
    sign = sign_of(mode)
    candidates = sorted(candidates, key=lambda c: c.strength)
    zero = next((c for c in candidates if c.strength == 0), Candidate(0.0, ()))
    tried = [c for c in candidates if c.strength > 0]
    positive = eligible(tried)
    units = list(zero.scores)
    gains = np.array([[sign * (c.scores.get(u, math.nan) - zero.scores[u]) for u in units] for c in positive])
    held = held_out_gains(gains, units) if gains.size else np.array([])
    if not divided_anew:
        held = mean_by_fold(held, units)
    held = held[np.isfinite(held)]
    obstacle = _obstacle(tried, zero, comparable=len(held), mode=mode, metric=metric)
    if obstacle:
        return Verdict("no difference", f"Whether L2 helps here cannot be told: {obstacle}.")
    folds = len({r.unit.fold for c in candidates for r in (*c.done, *c.failed)})
    overlap = 1 / (folds - 1) if overlap is None else overlap
    verdict = _numbers(zero, positive, held, overlap=overlap, mode=mode)
    if not np.nan_to_num(gains).any():
        sentence = f"L2 makes no difference here: every strength scores as none does in all {len(held)} "
        return replace(verdict, sentence=sentence + "paired trainings.")
    smallest = len(tried) > 1 and verdict.strength == tried[0].strength
    sentence = _sentence(verdict, metric=metric, smallest=smallest, lost=len(zero.failed))
    return replace(verdict, sentence=sentence)


def _numbers(
    zero: Candidate, positive: Sequence[Candidate], held: np.ndarray, *, overlap: float, mode: str
) -> Verdict:
    """The numbers of a verdict and what they say, still without the sentence."""
    sign = sign_of(mode)
    nearest = best([c for c in positive if c.scores.keys() & zero.scores.keys()], mode=mode)
    rounding = rounding_of([score for c in (zero, *positive) for score in c.scores.values()])
    gain, worst, top = corrected_interval(held, overlap=overlap, rounding=rounding)
    low, high = sorted((sign * worst, sign * top))
    common = [u for u in zero.scores if u in nearest.scores]
    baseline, score = (mean([c.scores[u] for u in common]) for c in (zero, nearest))
    better = sign * (score - baseline)
    return Verdict(
        outcome="helps" if worst > 0 < better else "hurts" if top < 0 > better else "no difference",
        sentence="",
        strength=nearest.strength,
        baseline=baseline,
        score=score,
        difference=score - baseline,
        gain=sign * gain,
        low=low,
        high=high,
        pairs=len(held),
    )


def _obstacle(tried: Sequence[Candidate], zero: Candidate, *, comparable: int, mode: str, metric: str) -> str:
    """Why nothing can be compared; empty if something can."""
    if not any(c.n for c in tried):
        failed = [r for c in tried for r in c.failed]
        if not failed:
            return "no strength above 0 was tried"
        return f"every training at a strength above 0 failed, the first because {_reason(failed[0])}"
    if not zero.n:
        if not zero.failed:
            return "strength 0 was not tried"
        chosen = best(tried, mode=mode)
        return (
            f"all {len(zero.failed)} trainings at strength 0 failed, the first because "
            f"{_reason(zero.failed[0])}; the best strength, {format_strength(chosen.strength)}, reaches "
            f"{metric_name(metric)} {chosen.mean:.{decimals([chosen.mean], usual=3)}f}"
        )
    if comparable < 2:
        if zero.n == 1:
            return "one training per strength has no standard error; use more folds"
        return "it takes at least two folds that finished at strength 0 and at another; use more folds"
    return ""


def _sentence(verdict: Verdict, *, metric: str, smallest: bool, lost: int) -> str:
    digits = _digits(verdict.high - verdict.low, least=decimals([verdict.baseline, verdict.score], usual=3))
    numbers = (verdict.difference, verdict.gain, verdict.low, verdict.high)
    difference, honest, low, high = (format_difference(number, digits=digits) for number in numbers)
    interval = f"95 % interval {low} to {high}"
    pairs = f"{verdict.pairs} paired trainings"
    if lost:
        pairs += f"; {lost} at strength 0 failed"
    if honest != difference and not math.isclose(verdict.gain, verdict.difference, rel_tol=1e-9):
        interval = f"{honest} where the other folds choose the strength, {interval}"
    strength, what = format_strength(verdict.strength or 0.0), metric_name(metric)
    if verdict.outcome == "no difference":
        return (
            f"Whether L2 helps here cannot be told: the best strength above 0, {strength}, differs from none "
            f"by {difference} in {what} ({interval}, {pairs})."
        )
    where = f"L2 helps here: at {strength}"
    if verdict.outcome == "hurts":
        which = "already at the smallest strength tried" if smallest else "even at the best strength above 0"
        where = f"L2 hurts here: {which}, {strength},"
    verb = "rises" if verdict.difference > 0 else "falls"
    return (
        f"{where} {what} {verb} from {verdict.baseline:.{digits}f} to {verdict.score:.{digits}f} "
        f"({difference}, {interval}, {pairs})."
    )


def _digits(width: float, *, least: int) -> int:
    """Decimals that show the half width of an interval, and those that the scores need."""
    return least if width <= 0 else min(max(least, -math.floor(math.log10(width / 2))), 12)


def _reason(record: Record) -> str:
    return record.reason.rstrip(".")
