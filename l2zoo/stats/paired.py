"""Paired differences on the same (seed, fold): their mean, interval and p, corrected for what they share.

Folds share training data, which widens an interval (Nadeau and Bengio). The best of many strengths was chosen
for its luck too (the winner's curse), so each fold is measured at the strength that the *other* folds choose.
Of many comparisons some would look significant by chance, so their p are corrected (Holm).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

# See `shared_part`; benchmarks/evidence_rates.py shows what comes of them.
AGREEMENT = 0.28
LUCK_OF_A_WINNER = 0.08
Rounding = float | np.ndarray
Unit = tuple[int, int]


def held_out_gains(gains: np.ndarray, units: Sequence[tuple[int, int]]) -> np.ndarray:
    """What the strength that the other folds choose gains on each fold.

    For every unit a strength is chosen by the mean gain over the other folds *of the same seed*, and its gain
    on this unit is taken. Seeds are kept apart, so this holds as well when every seed splits anew.

    What counts in the choice is the mean of a strength and its neighbours (`smooth`). Neighbours do nearly
    the same, so a good region beats a lucky strength: what is there to be found is found more often, and
    where folds of the same data agree by chance, less of that is chosen.

    Args:
        gains: `(strengths, units)`, in order of the strengths: the score less the score at strength 0 on the
            same (seed, fold), signed so that more is better; NaN where there is none.
        units: The (seed, fold) of each column.

    Returns:
        `(units,)`, NaN where there is no other fold to choose by.

    References:
        Varma, Simon 2006, Bias in error estimation when using cross-validation for model selection;
        Tsamardinos, Greasidou, Borboudakis 2018, Bootstrapping the out-of-sample predictions for efficient
        and accurate cross-validation (the same idea with the bootstrap).

    Example:
        >>> gains = np.array([[0.0, 0.1, 0.3], [0.2, 0.0, 0.0]])
        >>> held_out_gains(gains, [(0, 0), (0, 1), (0, 2)]).tolist()  # the second, twice; then the first
        [0.0, 0.1, 0.0]
    """
    seeds = np.array([seed for seed, _ in units])
    folds = np.array([fold for _, fold in units])
    there = np.isfinite(gains)
    filled = np.where(there, gains, 0.0)
    limit = 3 * math.sqrt(usual_variance(gains))
    out = np.full(len(units), np.nan)
    for column, (seed, fold) in enumerate(units):
        others = (seeds == seed) & (folds != fold)
        counts = there[:, others].sum(axis=1)
        usable = (counts > 0) & there[:, column]
        if usable.any():
            means = smooth(filled[:, others].sum(axis=1)[usable] / counts[usable], limit=limit)
            close = means >= means.max() - 1e-9 * np.abs(means).max()  # but for rounding
            out[column] = gains[usable, column][close][-1]
    return out


def smooth(means: np.ndarray, *, limit: float = math.inf) -> np.ndarray:
    """Each mean with those beside it, averaged: one on each side, of many strengths more.

    The first and the last stand for those that are missing beyond them.

    Args:
        means: `(strengths,)`.
        limit: A neighbour that is below by more than this does not count: the best strength may lie beside
            one with which nothing is learnt any more, and that says nothing of it.

    Example:
        >>> smooth(np.array([0.0, 3.0, 3.0, -90.0]), limit=9.0).tolist()
        [1.0, 2.0, 3.0, -59.0]
    """
    sides = max(1, len(means) // 8)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(means, sides, "edge"), 2 * sides + 1)
    own = means[:, None]
    return np.where(around < own - limit, own, around).mean(axis=1)


def usual_variance(gains: np.ndarray) -> float:
    """The variance of the gains of one strength, as it usually is: the median over the strengths.

    Args:
        gains: `(strengths, units)`, NaN where there is none.
    """
    found = [float(np.var(some[np.isfinite(some)], ddof=1)) for some in gains if np.isfinite(some).sum() > 1]
    return float(np.median(found)) if found else 0.0


def mean_by_fold(gains: np.ndarray, units: Sequence[tuple[int, int]]) -> np.ndarray:
    """The mean over the seeds of each fold, for folds that are the same for every seed.

    Args:
        gains: Of each unit `(J,)`, NaN where there is none.
        units: The (seed, fold) of each.

    Example:
        >>> mean_by_fold(np.array([1.0, 2.0, 3.0, np.nan]), [(0, 0), (0, 1), (1, 0), (1, 1)]).tolist()
        [2.0, 2.0]
    """
    folds = np.array([fold for _, fold in units])[np.isfinite(gains)]
    gains = gains[np.isfinite(gains)]
    return np.array([gains[folds == fold].mean() for fold in np.unique(folds)])


def corrected_interval(
    gains: np.ndarray,
    *,
    overlap: float,
    rounding: Rounding = 0.0,
    usual: float | None = None,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """Mean and confidence interval of gains whose training sets overlap (corrected resampled t).

    `mean +- t * s * sqrt(1 / J + n_test / n_train)` with `J` gains, their standard deviation `s` and the
    quantile `t` of Student's distribution with `J - 1` degrees of freedom. Without the second term the
    gains would have to be independent; folds share their training data, so they are not.

    Args:
        gains: `(J,)`, over folds and seeds, at least 2.
        overlap: `n_test / n_train` above 0, which is `1 / (K - 1)` for K equal folds; or `shared_part`.
        rounding: Smallest step between two scores, of all folds or `(J,)`. An accuracy counts right answers,
            so a few gains can be equal by chance; `s` is never taken below the rounding error of a
            difference, the root of the mean of `rounding ** 2 / 6`.
        usual: `usual_variance` of the gains of many strengths, if it is known. A handful of gains says little
            of their own variance: it is then never taken below the mean of both, and the degrees of freedom
            count twice, as the median of many stands for more.
        confidence: Probability that the interval holds the true mean, in (0, 1).

    Returns:
        Mean, lower and upper end.

    Raises:
        ValueError: There are fewer than 2 gains.

    References:
        Nadeau, Bengio 2003, Inference for the Generalization Error; for repeated cross-validation
        Bouckaert, Frank 2004, Evaluating the Replicability of Significance Tests for Comparing Learning
        Algorithms.
    """
    if len(gains) < 2:
        raise ValueError(f"An interval needs at least 2 gains, got {len(gains)}.")
    found = difference(gains, overlap=overlap, rounding=rounding, usual=usual, confidence=confidence)
    assert found is not None  # there are two
    return found.mean, found.low, found.high


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean paired difference, by Student's t.

    Attributes:
        mean: Over the trainings that both have.
        low: Lower end of the interval of this comparison alone.
        high: Its upper end.
        wide_low: Lower end of the interval that, together with those of all other comparisons, holds with the
            confidence (Bonferroni).
        wide_high: Its upper end.
        p: Of "there is no difference", two-sided.
        pairs: How many trainings stand behind it.
    """

    mean: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    p: float
    pairs: int


def difference(
    gains: Sequence[float] | np.ndarray,
    *,
    overlap: float,
    rounding: Rounding = 0.0,
    usual: float | None = None,
    comparisons: int = 1,
    confidence: float = 0.95,
) -> Difference | None:
    """The mean of paired differences with its intervals; None of fewer than two.

    Args:
        gains: Variant less baseline on the same (seed, fold).
        overlap: `n_test / n_train` where the trainings share data, as folds do; 0 where only seeds differ.
        rounding: Smallest step between two scores, of all or of each: two scores can be equal by chance.
        usual: As in `corrected_interval`.
        comparisons: How many variants are compared with the baseline.
        confidence: Of the intervals, in (0, 1).

    References:
        Nadeau, Bengio 2003, Inference for the Generalization Error (the corrected resampled t).
    """
    if len(gains) < 2:
        return None
    mean = math.fsum(gains) / len(gains)
    variance = variance_of(np.asarray(gains), rounding=rounding, usual=usual)
    error = math.sqrt(variance * (1 / len(gains) + overlap))
    freedom = (len(gains) - 1) * (1 if usual is None else 2)
    return _student(mean, error, freedom, len(gains), comparisons=comparisons, confidence=confidence)


def crossed_difference(
    gains: np.ndarray,
    *,
    mean: float | None = None,
    rounding: Rounding = 0.0,
    comparisons: int = 1,
    confidence: float = 0.95,
) -> Difference | None:
    """The mean of paired differences of several trainings on the same test images; None of fewer than two.

    Other trainings would give another mean, and other test images too. Its variance is estimated by
    `v(trainings) / S + v(images) / B`: of the S means over the images and of the B means over the trainings.
    In both is what a training does with these images alone, so that it is on the safe side. Student's t has
    the degrees of freedom of Satterthwaite.

    Args:
        gains: `(S, B)`: of each training, variant less baseline on each part of the test images. The parts
            are of about equal size, single images or some together.
        mean: The difference on all images, where parts differ by an image or their mean is not that of all.
        rounding: Smallest step between two scores of a training.
        comparisons: How many variants are compared with the baseline.
        confidence: Of the intervals, in (0, 1).

    References:
        Owen 2007, The Pigeonhole Bootstrap (the variance of a mean of crossed random effects);
        Satterthwaite 1946, An Approximate Distribution of Estimates of Variance Components.
    """
    trainings, parts = gains.shape
    if trainings < 2 or parts < 2:
        return None
    by_training, by_part = gains.mean(axis=1), gains.mean(axis=0)
    first = variance_of(by_training, rounding=rounding) / trainings
    second = float(np.var(by_part, ddof=1)) / parts
    scale = first**2 / (trainings - 1) + second**2 / (parts - 1)
    freedom = (first + second) ** 2 / scale if scale else float(trainings - 1)
    error, center = math.sqrt(first + second), float(gains.mean()) if mean is None else mean
    return _student(center, error, freedom, trainings, comparisons=comparisons, confidence=confidence)


def _student(
    mean: float, error: float, freedom: float, pairs: int, *, comparisons: int, confidence: float
) -> Difference:
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    wide = float(stdtrit(freedom, 1 - (1 - confidence) / comparisons / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return Difference(mean, mean - half, mean + half, mean - wide, mean + wide, p, pairs)


def trainings_for(
    effect: float, *, deviation: float, overlap: float, power: float = 0.8, confidence: float = 0.95
) -> float:
    """How many paired trainings tell an effect of a size from chance, with some probability.

    The smallest J with `effect >= (t(confidence) + t(power)) * deviation * sqrt(1 / J + overlap)`, where t
    are quantiles of Student's distribution with J - 1 degrees of freedom. Folds of the same data share what
    `overlap` says, so that below some size no number of them is enough: infinite. Then it takes more data.

    Args:
        effect: Above 0.
        deviation: Of a gain on one fold.
        overlap: As in `corrected_interval`.
        power: Probability of telling it, in (0.5, 1).
        confidence: Of the interval.

    Example:
        >>> [trainings_for(0.02, deviation=0.02, overlap=part) for part in (0.0, 0.28)]
        [10.0, inf]
    """
    from scipy.special import stdtrit

    def told(count: float) -> bool:
        quantiles = float(stdtrit(count - 1, (1 + confidence) / 2) + stdtrit(count - 1, power))
        return effect >= quantiles * deviation * math.sqrt(1 / count + overlap)

    if not told(1e9):
        return math.inf
    low, high = 1.0, 2.0
    while not told(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if told(middle) else (middle, high)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for there being several: below 0.05, one may be called significant at 5 %.

    The k-th smallest of m is multiplied by `m - k + 1`, and is at least as large as those before it. The
    chance that any of the variants that do not differ is called different stays below the level.

    Args:
        p_values: One for each comparison.

    References:
        Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def variance_of(gains: np.ndarray, *, rounding: Rounding = 0.0, usual: float | None = None) -> float:
    """The variance of a gain as intervals take it: see `corrected_interval`.

    Args:
        gains: `(J,)`, at least 2.
        rounding: Smallest step between two scores, of all folds or `(J,)`.
        usual: `usual_variance` of many strengths, if it is known.
    """
    own = float(np.var(gains, ddof=1))
    return max(own, float(np.mean(np.square(rounding))) / 6, 0.0 if usual is None else (own + usual) / 2)


def shared_part(overlap: float, *, winner_of: int = 1, looks: int = 1) -> float:
    """By how much the gains of folds are taken to go together, in the place of `n_test / n_train`.

    Nadeau and Bengio's `1 / (K - 1)` allows for gains that agree by `1 / K`: less the more folds there are.
    But what a strength does by chance on these data, whatever the folds, does not become less, and a strength
    that was chosen among others was chosen for it too. So it is at least what covers gains that agree by 0.2.

    Args:
        overlap: `n_test / n_train` of a fold.
        winner_of: Of how many the one strength was chosen, by all folds, whose gains all are: the more there
            were, the luckier with these data. 1 where each fold's others choose for it.
        looks: How often the gains are looked at, each time with so small a part of the 5 % that half of that
            allowance is enough.

    Example:
        >>> [round(shared_part(1 / 9, winner_of=count), 2) for count in (1, 20, 100)], shared_part(1 / 2)
        ([0.28, 0.52, 0.65], 0.5)
    """
    luck = LUCK_OF_A_WINNER * math.log(winner_of)
    return max(overlap, AGREEMENT + (luck if looks == 1 else luck / 2))


def step_of(scores: Collection[float]) -> float:
    """The smallest step between scores that count: 1/n for the smallest n of which all are whole shares.

    0 where there is none up to 2,000: a loss has none, and beyond that it is too small to matter.

    Example:
        >>> step_of([54 / 60, 55 / 60]), step_of([0.3187, 0.2213])
        (0.016666666666666666, 0.0)
    """
    shares = np.unique(np.asarray(list(scores), float))
    counts = np.arange(1, 2001)
    whole = np.outer(shares, counts)
    fits = (np.abs(whole - np.round(whole)) <= 1e-6 + 1.2e-7 * counts).all(axis=0)  # of float32
    return 1.0 / float(counts[fits.argmax()]) if len(shares) > 1 and fits.any() else 0.0


def steps_of(scores: Mapping[Unit, Collection[float]]) -> dict[Unit, float]:
    """The step of each (seed, fold) from all scores on it; of equal scores the largest step of the others.

    Folds differ in size and so in their steps: one image of 60, one of 61.
    """
    steps = {unit: step_of(some) for unit, some in scores.items()}
    most = max(steps.values(), default=0.0)
    return {unit: steps[unit] if len(set(some)) > 1 else most for unit, some in scores.items()}
