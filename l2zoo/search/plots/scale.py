"""Which part of the scores a picture shows: all, unless a collapsed strength would squash the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from l2zoo.search.candidates import Candidate
from l2zoo.search.select import Selection

REACH = 4.0  # a candidate is near the best within so many median distances of it
GROW = 2.5  # one that is not near is shown if the picture grows by no more than this
FENCE = 3.0  # single values beyond so many quartile ranges are left out

Range = tuple[float, float]


def score_limits(selection: Selection) -> Range:
    """Lower and upper limit of the score axis.

    The candidates near the best decide; others are taken in, nearest first, as long as those remain readable.
    """
    return limits(selection, extent=_scores)


def limits(
    selection: Selection, *, extent: Callable[[Sequence[Candidate]], Range], grow: float = GROW
) -> Range:
    """Lower and upper limit of an axis on which something of every candidate is shown.

    Args:
        selection: The answer of a search.
        extent: Gives the lowest and the highest value that some candidates need.
        grow: By how much the picture may grow for those that are not near the best.
    """
    everything = (*selection.candidates, *selection.rest)
    scored = sorted((c for c in everything if c.n), key=lambda c: abs(c.mean - selection.best.mean))
    distances = np.array([abs(c.mean - selection.best.mean) for c in scored])
    reach = max(REACH * np.median(distances), 6 * np.median([error_bar(c) for c in scored]))
    near = int(np.sum(distances <= reach))
    low, high = extent(scored[:near])
    room = grow * (high - low)
    for count in range(near + 1, len(scored) + 1):
        wider = extent(scored[:count])
        if wider[1] - wider[0] > room:
            break
        low, high = wider
    pad = 0.07 * (high - low) or 0.01 * max(abs(high), 1e-3)
    return low - pad, high + pad


def off_the_scale(values: Sequence[float], shown: Range) -> str:
    """For a legend: how many of some values lie outside of what is shown; nothing if none does."""
    low, high = shown
    count = sum(not low <= value <= high for value in values)
    return f" ({count} off the scale)" if count else ""


def error_bar(candidate: Candidate) -> float:
    """The standard error of a candidate, 0 where there is none."""
    return candidate.standard_error if candidate.n > 1 else 0.0


def fenced(values: np.ndarray) -> np.ndarray:
    """Values `(N,)` without the strays: those beyond `FENCE` quartile ranges."""
    first, third = np.quantile(values, [0.25, 0.75])
    fence = FENCE * (third - first)
    return values[(values >= first - fence) & (values <= third + fence)]


def _scores(candidates: Sequence[Candidate]) -> Range:
    kept = fenced(np.array([score for c in candidates for score in c.scores.values()]))
    low = min(c.mean - error_bar(c) for c in candidates)
    high = max(c.mean + error_bar(c) for c in candidates)
    return float(min(low, kept.min(initial=low))), float(max(high, kept.max(initial=high)))
