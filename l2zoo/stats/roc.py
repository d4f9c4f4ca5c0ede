"""The ROC curve of an attack that tells members from others by a score, and where its true success lies.

The intervals hold with 95 % confidence: images are a sample, and so is the result. They tell what other
images would change. What another training of the model would change they do not tell: for that, audit several
models.

References:
    DeLong et al. 1988, Comparing the Areas under Two or More Correlated Receiver Operating Characteristic
    Curves (the variance of the AUC).
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentiles).
    Bickel and Freedman 1981, Some Asymptotic Theory for the Bootstrap (of distribution functions).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
DRAWS = 1000
FALSE_POSITIVES = 0.01


@dataclass(frozen=True, eq=False)
class Roc:
    """Both shares at every threshold, from the strictest to none.

    Attributes:
        fpr: Share of the others that score at least as high `(T,)`, rising from 0 to 1.
        tpr: Share of the members likewise `(T,)`.
    """

    fpr: np.ndarray
    tpr: np.ndarray

    @property
    def advantage(self) -> float:
        """The largest `tpr - fpr` (Yeom et al. 2018, at the best threshold): 0 for nothing, 1 for all."""
        return float((self.tpr - self.fpr).max())


def roc(members: np.ndarray, others: np.ndarray) -> Roc:
    """The curve of the scores of members `(n,)` and of others `(m,)`.

    Example:
        >>> found = roc(np.array([3.0, 1.0]), np.array([2.0, 0.0]))
        >>> found.fpr.tolist(), found.tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    mine, theirs, count = _places(members, others)
    return Roc(fpr=_shares(theirs, count), tpr=_shares(mine, count))


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


def auc(members: np.ndarray, others: np.ndarray, *, level: float = LEVEL) -> Interval:
    """The area under the curve: the chance that a member scores above another image, ties counted half.

    `AUC ± z * sqrt(var(a) / n + var(b) / m)`, where `a` is for each member the share of the others below it
    and `b` for each of the others the share of the members above it. For an AUC of 0 or 1 its width is 0.

    Args:
        members: Scores `(n,)`.
        others: Scores `(m,)`.
        level: Confidence of the interval.
    """
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([1, 0], [len(members), len(others)])
    value = float(roc_auc_score(labels, np.concatenate([members, others])))
    above, below = _shares_below(members, others), 1 - _shares_below(others, members)
    error = np.sqrt(above.var(ddof=1) / len(members) + below.var(ddof=1) / len(others))
    return _within(value, float(norm.ppf((1 + level) / 2) * error))


def advantage(members: np.ndarray, others: np.ndarray, *, seed: int) -> Interval:
    """The advantage, by the bootstrap.

    The best of many thresholds looks better than it is, also for an attack that knows nothing. So its
    interval is that of the whole curve: in 95 % of the draws, `tpr - fpr` is nowhere farther from the
    measured one than its half width.

    Args:
        members: Scores `(n,)`.
        others: Scores `(m,)`.
        seed: Of the draws.
    """
    measured = roc(members, others)
    gap = measured.tpr - measured.fpr
    farthest = [
        np.abs(drawn.tpr - drawn.fpr - gap).max()
        for drawn in _bootstrap(members, others, draws=DRAWS, seed=seed)
    ]
    return _within(measured.advantage, float(np.quantile(farthest, LEVEL)))


def tpr_at_false_positives(members: np.ndarray, others: np.ndarray) -> Interval:
    """The share of the members that is found where `FALSE_POSITIVES` of all other images would be.

    The threshold is the strictest score of the others that lets a new one through with at most that
    probability: `(k + 1) / (m + 1)`, where k of m score above it. Its interval is of two halves: where the
    true threshold lies, from the binomial distribution of how many of m are above it, and the share of all
    members above that (Clopper and Pearson). It is on the safe side, and with few others its lower end is 0.

    Args:
        members: Scores `(n,)`.
        others: Scores `(m,)`, at least 99: of fewer, 1 % cannot be had.

    Raises:
        ValueError: There are fewer.

    References:
        Clopper, Pearson 1934, The Use of Confidence or Fiducial Limits.
        Vovk et al. 2005, Algorithmic Learning in a Random World (the threshold).
    """
    from scipy.stats import beta, binom

    let_through = int(np.floor(FALSE_POSITIVES * (len(others) + 1) + 1e-9)) - 1
    if let_through < 0:
        raise ValueError(
            f"A rate at {FALSE_POSITIVES:.0%} false positives needs at least "
            f"{round(1 / FALSE_POSITIVES) - 1} other images, got {len(others)}."
        )
    ordered = np.sort(others)[::-1]
    rest = (1 - LEVEL) / 2
    fewest, most = (int(binom.ppf(q, len(others), FALSE_POSITIVES)) for q in (rest / 2, 1 - rest / 2))
    strict = np.inf if not fewest else ordered[fewest - 1]
    strictest, found, loosest = (
        int((members > some).sum()) for some in (strict, ordered[let_through], ordered[most])
    )
    count = len(members)
    low = float(beta.ppf(rest / 2, strictest, count - strictest + 1)) if strictest else 0.0
    high = float(beta.ppf(1 - rest / 2, loosest + 1, count - loosest)) if loosest < count else 1.0
    return Interval(found / count, low, high)


def _bootstrap(members: np.ndarray, others: np.ndarray, *, draws: int, seed: int) -> Iterator[Roc]:
    """Curves, on the same thresholds, of members and others drawn with replacement (the bootstrap)."""
    rng = np.random.default_rng(seed)
    mine, theirs, count = _places(members, others)
    for _ in range(draws):
        tpr = _shares(rng.choice(mine, len(mine)), count)
        yield Roc(fpr=_shares(rng.choice(theirs, len(theirs)), count), tpr=tpr)


def _places(members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The place of each score among all different ones, from the highest, and how many those are."""
    values, places = np.unique(-np.concatenate([members, others]), return_inverse=True)
    return places[: len(members)], places[len(members) :], len(values)


def _shares(places: np.ndarray, count: int) -> np.ndarray:
    passed = np.cumsum(np.bincount(places, minlength=count))
    return np.concatenate([[0], passed]) / len(places)


def _shares_below(scores: np.ndarray, against: np.ndarray) -> np.ndarray:
    """For each score the share of the others below it, ties counted half."""
    ordered = np.sort(against)
    both = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return both / (2 * len(against))


def _within(value: float, half: float) -> Interval:
    return Interval(value, max(0.0, value - half), min(1.0, value + half))
