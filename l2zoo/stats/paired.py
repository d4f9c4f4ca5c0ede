"""Paired differences on the same (seed, fold): their mean, interval and p, corrected for what they share.

Folds share training data, which widens an interval (Nadeau and Bengio). The best of many strengths was chosen
for its luck too (the winner's curse), so each fold is measured at the strength that the *other* folds choose.
Of many comparisons some would look significant by chance, so their p are corrected (Holm).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


def held_out_gains(gains: np.ndarray, units: Sequence[tuple[int, int]]) -> np.ndarray:
    """What the strength that the other folds choose gains on each fold.

    For every unit the strength with the largest mean gain over the other folds *of the same seed* is chosen
    (of equal ones the last), and its gain on this unit is taken. Seeds are kept apart, so that this holds as
    well when every seed splits the data anew.

    Args:
        gains: `(strengths, units)`: the score less the score at strength 0 on the same (seed, fold), signed
            so that more is better; NaN where there is none.
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
    out = np.full(len(units), np.nan)
    for column, (seed, fold) in enumerate(units):
        others = (seeds == seed) & (folds != fold)
        counts = there[:, others].sum(axis=1)
        usable = (counts > 0) & there[:, column]
        if usable.any():
            means = filled[:, others].sum(axis=1)[usable] / counts[usable]
            close = means >= means.max() - 1e-9 * np.abs(means).max()  # but for rounding
            out[column] = gains[usable, column][close][-1]
    return out


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
    gains: np.ndarray, *, overlap: float, rounding: float = 0.0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Mean and confidence interval of gains whose training sets overlap (corrected resampled t).

    `mean +- t * s * sqrt(1 / J + n_test / n_train)` with `J` gains, their standard deviation `s` and the
    quantile `t` of Student's distribution with `J - 1` degrees of freedom. Without the second term the
    gains would have to be independent; folds share their training data, so they are not.

    Args:
        gains: `(J,)`, over folds and seeds, at least 2.
        overlap: `n_test / n_train` above 0, which is `1 / (K - 1)` for K equal folds.
        rounding: Smallest step between two scores. An accuracy counts right answers, so a few gains can be
            equal by chance; `s` is never taken below the rounding error `rounding / sqrt(6)` of a difference.
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
    found = difference(gains, overlap=overlap, rounding=rounding, confidence=confidence)
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
    rounding: float = 0.0,
    comparisons: int = 1,
    confidence: float = 0.95,
) -> Difference | None:
    """The mean of paired differences with its intervals; None of fewer than two.

    Args:
        gains: Variant less baseline on the same (seed, fold).
        overlap: `n_test / n_train` where the trainings share data, as folds do; 0 where only seeds differ.
        rounding: Smallest step between two scores: two scores can be equal by chance.
        comparisons: How many variants are compared with the baseline.
        confidence: Of the intervals, in (0, 1).

    References:
        Nadeau, Bengio 2003, Inference for the Generalization Error (the corrected resampled t).
    """
    from scipy.special import stdtr, stdtrit

    if len(gains) < 2:
        return None
    mean = math.fsum(gains) / len(gains)
    error = error_of_mean(np.asarray(gains), overlap=overlap, rounding=rounding)
    freedom = len(gains) - 1
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    wide = float(stdtrit(freedom, 1 - (1 - confidence) / comparisons / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return Difference(mean, mean - half, mean + half, mean - wide, mean + wide, p, len(gains))


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


def error_of_mean(gains: np.ndarray, *, overlap: float, rounding: float = 0.0) -> float:
    """The standard error of the mean of gains, `s * sqrt(1 / J + overlap)`: see `corrected_interval`.

    Args:
        gains: `(J,)`, at least 2.
        overlap: `n_test / n_train` of folds that share their training data; 0 of independent gains.
        rounding: Smallest step between two scores.
    """
    variance = max(float(np.var(gains, ddof=1)), rounding**2 / 6)
    return math.sqrt(variance * (1 / len(gains) + overlap))


def rounding_of(scores: Sequence[float]) -> float:
    """The smallest step between two different scores; 0 if all are equal.

    Example:
        >>> rounding_of([0.5, 0.25, 1.0, 0.5])
        0.25
    """
    steps = np.diff(np.unique(np.round(scores, 12)))
    return float(steps.min()) if steps.size else 0.0
