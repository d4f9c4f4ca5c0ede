"""Does L2 help here? The answer in one sentence, from paired differences to strength 0 on the same folds.

One interval decides: of the gain of a strength on folds that did not choose it. Above 0, L2 helps; below 0,
even the best strength hurts; otherwise the trainings cannot tell. Where folds see strengths alone, those that
judge are the folds that are left out of the choice (`held_out_gains`). Where more was chosen by them, other
hyperparameters or what to try next, the winner and 0 are trained on fresh divisions of the data (`fresh`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from l2zoo.engine.record import Record
from l2zoo.reports.numbers import decimals, format_difference, format_strength, metric_name
from l2zoo.search.candidates import Candidate, best, eligible
from l2zoo.stats.paired import (
    corrected_interval,
    held_out_gains,
    mean_by_fold,
    shared_part,
    steps_of,
    trainings_for,
    usual_variance,
    variance_of,
)
from l2zoo.stats.summary import mean, sign_of

MANY = 5  # strengths, from which on the variance of a gain is known from the others too
LOOKS = 3  # at a verdict to which trainings are added until it tells


@dataclass(frozen=True)
class Verdict:
    """Whether L2 helps here; `str()` gives the sentence.

    Args:
        outcome: `"helps"`, `"hurts"`, `"unclear"`: these trainings cannot tell, or `"all equal"`: nor can
            they, as every strength scores as 0 does.
        sentence: The answer for people, with its numbers.
        strength: The strength above 0 that gains most on the folds that it shares with 0; None if there is
            none.
        baseline: Mean score at strength 0, over the paired trainings.
        score: Mean score at `strength`, over the paired trainings.
        difference: `score - baseline`; it flatters a strength that these trainings chose.
        gain: The same on folds that did not choose the strength: honest, but for another strength where the
            folds do not agree.
        low: Lower end of the 95 % interval of `gain`.
        high: Its upper end.
        pairs: How many paired trainings stand behind the interval.
        deviation: Standard deviation of a gain on one fold, as the interval has it; NaN without one.
        overlap: By how much gains on two folds are taken to go together.
        left_out: The strengths above 0 that were not compared, as trainings of them failed.
        fresh: Whether the trainings are on divisions of the data that chose nothing.
        until: The effect that the search was asked to tell; None if it was not.
        confidence: Of the interval: 0.95, and more for each of several looks, so that together they are
            wrong in 1 of 20 at most (Bonferroni).
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
    deviation: float = math.nan
    overlap: float = math.nan
    left_out: tuple[float, ...] = ()
    fresh: bool = False
    until: float | None = None
    confidence: float = 0.95

    @property
    def is_told(self) -> bool:
        """Whether L2 helps or hurts, or does neither by as much as `until`."""
        small = self.until is not None and max(abs(self.low), abs(self.high)) < self.until
        return self.outcome in ("helps", "hurts") or (small and self.outcome == "unclear")

    def __str__(self) -> str:
        return self.sentence

    def needed(self, effect: float, *, power: float = 0.8) -> float:
        """How many more paired trainings it takes to tell an effect of a size from chance.

        Args:
            effect: In the units of the score, above 0.
            power: The probability with which it is told, in (0.5, 1).

        Returns:
            A number of (seed, fold), at least 0; infinite where no number of folds of the same data is
            enough, and it takes more data, or where nothing was compared.

        Raises:
            ValueError: Another size or probability.
        """
        if not effect > 0 or not 0.5 < power < 1:
            raise ValueError(
                f"`effect` must be above 0 and `power` in (0.5, 1), got effect={effect}, power={power}."
            )
        if not self.pairs:
            return math.inf
        wanted = trainings_for(
            effect,
            deviation=self.deviation,
            overlap=self.overlap,
            power=power,
            confidence=self.confidence,
        )
        return max(0.0, wanted - self.pairs)


def verdict_of(
    candidates: Sequence[Candidate],
    *,
    mode: str = "max",
    metric: str = "score",
    overlap: float | None = None,
    divided_anew: bool = True,
    tried: Sequence[float] = (),
    of_winner: bool = False,
    looks: int = 1,
    until: float | None = None,
) -> Verdict:
    """Compares the best strength above 0 with strength 0.

    Where L2 has no effect, "helps" comes out in about 1 of 100 searches of 12 strengths, and in about 1 of
    20 at most if a strength gains or loses on these data by chance, whatever the folds, so that its gains on
    two folds agree by up to 0.2. What agrees more than that cannot be seen from folds of one data set.

    Args:
        candidates: All strengths that are compared, 0 among them.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
        metric: What the scores are, for the sentence.
        overlap: Held-out over training rows of a fold, as they were divided; by default that of equal folds.
        divided_anew: Whether every seed divides the data otherwise. If not, seeds are no other evidence about
            other data: the gains of a fold are averaged over them first.
        tried: All strengths that were tried, where `candidates` are not all.
        of_winner: Whether `candidates` are 0 and the one that all folds chose among what was tried, trained
            once more: where every seed divides the data otherwise, on divisions that chose nothing.
        looks: How often the verdict may be asked while trainings are added. Each look has its part of the 5 %
            in which all may be wrong.
        until: An effect that it is asked to tell, for the sentence.

    References:
        Pocock 1977, Group sequential methods in the design and analysis of clinical trials (a number of looks
        that is fixed beforehand, all with the same level; Bonferroni's, which is taken here, is a little
        below his and does not need the looks to be independent of anything).
    """
    confidence, fresh = 1 - 0.05 / looks, of_winner and divided_anew
    sign = sign_of(mode)
    candidates = sorted(candidates, key=lambda c: c.strength)
    zero = next((c for c in candidates if c.strength == 0), Candidate(0.0, ()))
    above = [c for c in candidates if c.strength > 0]
    positive = eligible(above)
    units = list(zero.scores)
    gains = np.array([[sign * (c.scores.get(u, math.nan) - zero.scores[u]) for u in units] for c in positive])
    steps = _steps(candidates, units)
    held = held_out_gains(gains, units) if gains.size else np.array([])
    steps = steps[: len(held)][np.isfinite(held)] if divided_anew else mean_by_fold(steps, units)
    held = held[np.isfinite(held)] if divided_anew else mean_by_fold(held, units)
    obstacle = _obstacle(above, zero, comparable=len(held), mode=mode, metric=metric)
    if obstacle:
        return Verdict("unclear", f"Whether L2 helps here cannot be told: {obstacle}.", fresh=fresh)
    folds = len({r.unit.fold for c in candidates for r in (*c.done, *c.failed)})
    rivals = sum(s > 0 for s in tried or [c.strength for c in above]) if of_winner else 1
    overlap = shared_part(1 / (folds - 1) if overlap is None else overlap, winner_of=rivals, looks=looks)
    lost = tuple(c.strength for c in above if c not in positive)
    usual = usual_variance(gains) if len(positive) >= MANY else None
    verdict = _numbers(
        zero, positive, held, steps, overlap=overlap, usual=usual, mode=mode, confidence=confidence
    )
    verdict = replace(verdict, left_out=lost, fresh=fresh, until=until)
    if not np.nan_to_num(gains).any():
        verdict = replace(verdict, outcome="all equal")
    smallest = len(above) > 1 and verdict.strength == min(
        s for s in tried or [c.strength for c in above] if s > 0
    )
    return replace(
        verdict, sentence=_sentence(verdict, metric=metric, smallest=smallest, lost=len(zero.failed))
    )


def _steps(candidates: Sequence[Candidate], units: Sequence[tuple[int, int]]) -> np.ndarray:
    """The smallest step between two scores on each fold, `(units,)`."""
    steps = steps_of({u: [c.scores[u] for c in candidates if u in c.scores] for u in units})
    return np.array([steps[u] for u in units])


def _numbers(
    zero: Candidate,
    positive: Sequence[Candidate],
    held: np.ndarray,
    steps: np.ndarray,
    *,
    overlap: float,
    usual: float | None,
    mode: str,
    confidence: float,
) -> Verdict:
    """The numbers of a verdict and what they say, still without the sentence."""
    sign = sign_of(mode)
    strength, baseline, score = _most_gained(zero, positive, sign=sign)
    gain, worst, top = corrected_interval(
        held, overlap=overlap, rounding=steps, usual=usual, confidence=confidence
    )
    low, high = sorted((sign * worst, sign * top))
    better = sign * (score - baseline)
    return Verdict(
        outcome="helps" if worst > 0 < better else "hurts" if top < 0 > better else "unclear",
        sentence="",
        strength=strength,
        baseline=baseline,
        score=score,
        difference=score - baseline,
        gain=sign * gain,
        low=low,
        high=high,
        pairs=len(held),
        deviation=math.sqrt(variance_of(held, rounding=steps, usual=usual)),
        overlap=overlap,
        confidence=confidence,
    )


def _most_gained(zero: Candidate, positive: Sequence[Candidate], *, sign: int) -> tuple[float, float, float]:
    """The strength that gains most on the folds it shares with 0, of equal ones the largest; both means.

    Not the one with the best mean over all its folds: on a fold where 0 failed nothing was gained.
    """
    means = {}
    for candidate in positive:
        common = [unit for unit in zero.scores if unit in candidate.scores]
        if common:
            pair = [mean([scores[u] for u in common]) for scores in (zero.scores, candidate.scores)]
            means[candidate.strength] = pair[0], pair[1]
    most = max(sign * (score - baseline) for baseline, score in means.values())
    slack = 1e-12 * max(abs(number) for pair in means.values() for number in pair)
    strength = max(s for s, (baseline, score) in means.items() if sign * (score - baseline) >= most - slack)
    return strength, *means[strength]


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
    gain, low, high = (format_difference(n, digits=digits) for n in (verdict.gain, verdict.low, verdict.high))
    pairs = f"{verdict.pairs} paired trainings{' on fresh divisions of the data' if verdict.fresh else ''}"
    pairs += f"; {lost} at strength 0 failed" if lost else ""
    left_out = _left_out(verdict.left_out)
    if verdict.outcome == "all equal":
        return (
            "Whether L2 helps here cannot be told: all scores are equal, every strength's to those of none, "
            f"in {pairs}.{left_out}"
        )
    numbers = f"{100 * verdict.confidence:.3g} % interval {low} to {high}, {pairs}"
    same = math.isclose(verdict.gain, verdict.difference, rel_tol=1e-9)
    judged = "" if same else " where the other folds choose the strength"
    strength, what = format_strength(verdict.strength or 0.0), metric_name(metric)
    if verdict.outcome == "unclear":
        return (
            f"Whether L2 helps here cannot be told: the best strength above 0, {strength}, differs from none "
            f"by {gain} in {what}{judged} ({numbers}).{_what_it_takes(verdict)}{left_out}"
        )
    where = f"L2 helps here: at {strength}"
    if verdict.outcome == "hurts":
        which = "already at the smallest strength tried" if smallest else "even at the best strength above 0"
        where = f"L2 hurts here: {which}, {strength},"
    verb, reached = "rises" if verdict.gain > 0 else "falls", verdict.baseline + verdict.gain
    return (
        f"{where} {what} {verb} from {verdict.baseline:.{digits}f} to {reached:.{digits}f} "
        f"({gain}{judged}, {numbers}).{left_out}"
    )


def _what_it_takes(verdict: Verdict) -> str:
    """What it takes to tell the effect that was asked for, as a sentence; empty where none was."""
    if verdict.until is None:
        return ""
    if verdict.is_told:
        return f" An effect of {verdict.until:g}, either way, there is not."
    missing = verdict.needed(verdict.until)
    if math.isinf(missing):
        return f" No number of folds of these data tells {verdict.until:g}: it takes more data."
    return f" To tell {verdict.until:g} takes {math.ceil(missing)} more paired trainings." if missing else ""


def _left_out(strengths: Sequence[float]) -> str:
    """Which strengths were not compared, as a sentence; empty where all were."""
    if not strengths:
        return ""
    return f" Left out, as trainings failed: {', '.join(map(format_strength, strengths))}."


def _digits(width: float, *, least: int) -> int:
    """Decimals that show the half width of an interval, and those that the scores need."""
    return least if width <= 0 else min(max(least, -math.floor(math.log10(width / 2))), 12)


def _reason(record: Record) -> str:
    return record.reason.rstrip(".")
