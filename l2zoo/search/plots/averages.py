"""Mean learning curves, and which part of them a picture shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.scale import Range, fenced, limits
from l2zoo.search.select import Selection

GROW = 1.6  # the early epochs make a picture high already: collapsed candidates may add no more than this


def every(selection: Selection) -> list[Candidate]:
    """All candidates of a search, whatever became of them."""
    return [*selection.candidates, *selection.rest, *selection.stopped]


def has_curves(selection: Selection) -> bool:
    """Whether any record says how its training went."""
    return any(len(mean_curve(c, selection.metric)) for c in every(selection))


def mean_curve(candidate: Candidate, metric: str) -> np.ndarray:
    """The mean over the trainings that still run: `(epochs,)`, NaN where none has a finite number.

    Args:
        candidate: A strength with its trainings; those that failed do not count.
        metric: Name of the curve.
    """
    curves = [r.curves[metric] for r in candidate.done if r.curves.get(metric)]
    if not curves:
        return np.zeros(0)
    padded = np.full((len(curves), max(map(len, curves))), math.nan)
    for row, values in zip(padded, curves, strict=True):
        row[: len(values)] = values
    there = np.isfinite(padded)
    counts = there.sum(axis=0)
    sums = np.where(there, padded, 0.0).sum(axis=0)
    return np.divide(sums, counts, out=np.full(len(sums), math.nan), where=counts > 0)


def curve_limits(selection: Selection) -> Range:
    """Lower and upper limit of the axis of the score."""
    return limits(selection, extent=lambda some: _extent(some, selection.metric), grow=GROW)


def _extent(some: Sequence[Candidate], metric: str) -> Range:
    """The first epochs, in which every network is bad, may leave the picture; the last are always in it."""
    lines = [line[np.isfinite(line)] for line in (mean_curve(c, metric) for c in some)]
    lines = [line for line in lines if len(line)]
    if not lines:
        return min(c.mean for c in some), max(c.mean for c in some)
    later = [line[min(1 + len(line) // 10, len(line) - 1) :] for line in lines]
    values = np.concatenate([fenced(np.concatenate(later)), [line[-1] for line in lines]])
    return float(values.min()), float(values.max())
