"""Where the true success of an attack lies, with 95 % confidence: images are a sample, and so is the result.

The intervals tell what other images would change. What another training of the model would change they do not
tell: for that, audit several models.

References:
    DeLong et al. 1988, Comparing the Areas under Two or More Correlated Receiver Operating Characteristic
    Curves (the variance of the AUC).
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentiles).
    Bickel and Freedman 1981, Some Asymptotic Theory for the Bootstrap (of distribution functions).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l2zoo.stats.roc import redrawn, roc

LEVEL = 0.95
DRAWS = 1000
FALSE_POSITIVES = 0.01


@dataclass(frozen=True)
class Interval:
    """A measured number, and the limits of its interval.

    Example:
        >>> print(Interval(0.6123, 0.55, 0.67))
        0.612 [0.550, 0.670]
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def auc(members: np.ndarray, others: np.ndarray) -> Interval:
    """The area under the curve: the chance that a member scores above another image, ties counted half.

    `AUC ± z * sqrt(var(a) / n + var(b) / m)`, where `a` is for each member the share of the others below it
    and `b` for each of the others the share of the members above it. For an AUC of 0 or 1 its width is 0.

    Args:
        members: Scores `(n,)`.
        others: Scores `(m,)`.
    """
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([1, 0], [len(members), len(others)])
    value = float(roc_auc_score(labels, np.concatenate([members, others])))
    above, below = _shares_below(members, others), 1 - _shares_below(others, members)
    error = np.sqrt(above.var(ddof=1) / len(members) + below.var(ddof=1) / len(others))
    return _within(value, float(norm.ppf((1 + LEVEL) / 2) * error))


def advantage_and_tpr(members: np.ndarray, others: np.ndarray, *, seed: int) -> tuple[Interval, Interval]:
    """The advantage, and the true-positive rate at `FALSE_POSITIVES`, by the bootstrap.

    The best of many thresholds looks better than it is, also for an attack that knows nothing. So the
    advantage's interval is that of the whole curve: in 95 % of the draws, `tpr - fpr` is nowhere farther from
    the measured one than its half width. That of the rate is from percentiles of draws of which each finds
    its own threshold.

    Args:
        members: Scores `(n,)`.
        others: Scores `(m,)`.
        seed: Of the draws.
    """
    measured = roc(members, others)
    gap, farthest, rates = measured.tpr - measured.fpr, [], []
    for drawn in redrawn(members, others, draws=DRAWS, seed=seed):
        farthest.append(np.abs(drawn.tpr - drawn.fpr - gap).max())
        rates.append(drawn.tpr_at(FALSE_POSITIVES))
    low, high = np.quantile(rates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    rate = Interval(measured.tpr_at(FALSE_POSITIVES), float(low), float(high))
    return _within(measured.advantage, float(np.quantile(farthest, LEVEL))), rate


def _shares_below(scores: np.ndarray, against: np.ndarray) -> np.ndarray:
    """For each score the share of the others below it, ties counted half."""
    ordered = np.sort(against)
    both = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return both / (2 * len(against))


def _within(value: float, half: float) -> Interval:
    return Interval(value, max(0.0, value - half), min(1.0, value + half))
