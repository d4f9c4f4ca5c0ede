"""The curve of an attack: the share of the members it finds, and of the others it takes for members."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


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

    def tpr_at(self, share: float) -> float:
        """The largest `tpr` where `fpr` is at most `share`."""
        return float(self.tpr[self.fpr <= share].max())


def roc(members: np.ndarray, others: np.ndarray) -> Roc:
    """The curve of the scores of members `(n,)` and of others `(m,)`.

    Example:
        >>> found = roc(np.array([3.0, 1.0]), np.array([2.0, 0.0]))
        >>> found.fpr.tolist(), found.tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    mine, theirs, count = _places(members, others)
    return Roc(fpr=_shares(theirs, count), tpr=_shares(mine, count))


def redrawn(members: np.ndarray, others: np.ndarray, *, draws: int, seed: int) -> Iterator[Roc]:
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
