"""Whether a variant differs from the baseline: paired differences, their interval, and Holm's correction."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from l2zoo.stats.paired import error_of_mean


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference to the baseline, by Student's t.

    Attributes:
        mean: Variant less baseline, over the trainings that both have.
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
    gains: Sequence[float],
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
