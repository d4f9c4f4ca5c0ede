"""How much choosing a strength gains over none, without flattering the chosen.

The best of many strengths looks better than it is: it was chosen for its luck too (the winner's curse). So
each fold's difference to strength 0 is taken at the strength that the *other* folds would have chosen: no
score takes part in its own choice, and one ordinary interval remains, however many strengths were tried.
"""

from __future__ import annotations

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


def corrected_interval(
    gains: np.ndarray, *, folds: int, rounding: float = 0.0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Mean and confidence interval of gains whose training sets overlap (corrected resampled t).

    `mean +- t * s * sqrt(1 / J + n_test / n_train)` with `J` gains, their standard deviation `s` and the
    quantile `t` of Student's distribution with `J - 1` degrees of freedom. Without the second term the
    gains would have to be independent; folds share their training data, so they are not.

    Args:
        gains: `(J,)`, over folds and seeds, at least 2.
        folds: Number of folds, at least 2; `n_test / n_train = 1 / (folds - 1)`.
        rounding: Smallest step between two scores. An accuracy counts right answers, so a few gains can be
            equal by chance; `s` is never taken below the rounding error `rounding / sqrt(6)` of a difference.
        confidence: Probability that the interval holds the true mean, in (0, 1).

    Returns:
        Mean, lower and upper end.

    Raises:
        ValueError: There are fewer than 2 gains or 2 folds.

    References:
        Nadeau, Bengio 2003, Inference for the Generalization Error; for repeated cross-validation
        Bouckaert, Frank 2004, Evaluating the Replicability of Significance Tests for Comparing Learning
        Algorithms.
    """
    if len(gains) < 2 or folds < 2:
        raise ValueError(f"An interval needs at least 2 gains and 2 folds, got {len(gains)} and {folds}.")
    from scipy.special import stdtrit

    mean = math.fsum(gains) / len(gains)
    error = error_of_mean(gains, overlap=1 / (folds - 1), rounding=rounding)
    half = float(stdtrit(len(gains) - 1, (1 + confidence) / 2)) * error
    return mean, mean - half, mean + half


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
