"""The score of a variant that chooses its own strength, without flattering it for the choice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from l2zoo.engine.record import Record
from l2zoo.search import candidates
from l2zoo.search.candidates import Candidate, gather
from l2zoo.stats.paired import held_out_gains
from l2zoo.stats.summary import sign_of

Scores = Mapping[tuple[int, int], float]
"""The score of each (seed, fold)."""


def best_strength(records: Iterable[Record], *, mode: str) -> float | None:
    """The strength with the best mean; None if every training failed."""
    tried = gather(records)
    return candidates.best(tried, mode=mode).strength if any(each.n for each in tried) else None


def held_out_scores(records: Iterable[Record], *, mode: str) -> Scores:
    """The score of each (seed, fold), at the strength that the other folds of the seed choose.

    So no score takes part in its own choice. Of a single strength these are simply its scores.

    Args:
        records: All trainings of a variant.
        mode: `"max"` where more is better, `"min"` where less is.
    """
    tried = [each for each in gather(records) if each.n]
    if len(tried) < 2:
        return dict(tried[0].scores) if tried else {}
    units = sorted({unit for each in tried for unit in each.scores})
    table = sign_of(mode) * _table(tried, units)
    held = sign_of(mode) * held_out_gains(table, units)
    return {unit: float(score) for unit, score in zip(units, held, strict=True) if math.isfinite(score)}


def _table(tried: Sequence[Candidate], units: Sequence[tuple[int, int]]) -> np.ndarray:
    """`(strengths, units)`, NaN where a training failed."""
    return np.array([[each.scores.get(unit, math.nan) for unit in units] for each in tried])
