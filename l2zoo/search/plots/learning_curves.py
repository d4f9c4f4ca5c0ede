"""The picture of how the trainings went: the score on the held-out fold against the epoch.

It shows at a glance whether the epochs were enough, and where L2 makes itself felt. A line is the mean over
folds and seeds; where trainings end early, over those that still run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength, metric_title
from l2zoo.reports.plot_style import BLUE, GREY, INK, Plot
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.curve import STOPPED
from l2zoo.search.plots.scale import Range, fenced, limits, off_the_scale
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

CHOSEN: dict[str, Any] = {"color": BLUE, "linewidth": 2.4}
ZERO: dict[str, Any] = {"color": INK, "linewidth": 1.5, "linestyle": (0, (5, 2.5))}
FAINT: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.5}
GROW = 1.6  # the early epochs make a picture high already: collapsed candidates may add no more than this


def plot(selection: Selection, *, chosen: float | None = None) -> Plot:
    """The learning curves of a search.

    Args:
        selection: The answer of a search.
        chosen: The strength to draw strongly; the best by default.

    Raises:
        ValueError: No record has a curve of the metric.
    """
    if not has_curves(selection):
        raise ValueError(f"No training has a curve of {selection.metric!r}, so there is nothing to draw.")
    words = alt_text(selection, chosen=chosen)
    return Plot(_title(selection), words, partial(draw, selection, chosen=chosen))


def has_curves(selection: Selection) -> bool:
    """Whether any record says how its training went."""
    return any(len(mean_curve(c, selection.metric)) for c in selection.every)


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


def alt_text(selection: Selection, *, chosen: float | None = None) -> str:
    """The picture in words, for those who do not see it."""
    what = f"{metric_title(selection.metric)} on the held-out fold against the epoch"
    sentences = [f"{what}, for {len(selection.every)} candidates."]
    named = ((_chosen(selection, chosen), "the chosen strength"), (_zero(selection), "strength"))
    for candidate, words in named:
        line = np.zeros(0) if candidate is None else mean_curve(candidate, selection.metric)
        if candidate is not None and len(line):
            sentences.append(
                f"At {words} {format_strength(candidate.strength)} it goes from {line[0]:.3f} in epoch 1 to "
                f"{line[-1]:.3f} in epoch {len(line)}."
            )
    if selection.stopped:
        sentences.append(f"{len(selection.stopped)} were stopped early.")
    return " ".join(sentences)


def draw(
    selection: Selection, *, chosen: float | None = None, width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    """Composes the figure.

    Args:
        selection: The answer of a search.
        chosen: The strength to draw strongly; the best by default.
        width: Of the figure, in inches.
        headed: Whether the title is written.
    """
    from matplotlib.ticker import MaxNLocator

    strong, zero = _chosen(selection, chosen), _zero(selection)
    lines = [(c, mean_curve(c, selection.metric)) for c in selection.every]
    shown = limits(selection, extent=partial(_extent, metric=selection.metric), grow=GROW)
    title, legend = _title(selection) if headed else "", _legend(selection, strong, lines, shown)
    figure = plot_style.frame(width=width, height=4.0, title=title, legend=legend)
    axes = figure.add_subplot()
    for candidate, values in lines:
        style, zorder = (CHOSEN, 4) if candidate is strong else (ZERO, 3) if candidate is zero else (FAINT, 2)
        epochs = np.arange(1, len(values) + 1)
        alone: dict[str, Any] = {"marker": "o", "markersize": 4} if len(values) == 1 else {}
        axes.plot(epochs, values, **style, **alone, zorder=zorder)
        if candidate in selection.stopped and len(values):
            axes.plot(epochs[-1:], values[-1:], **STOPPED, zorder=2)
    last = max(len(values) for _, values in lines)
    axes.set_xlim(1 - 0.02 * last, last + 0.02 * last)
    axes.set_ylim(*shown)
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch", labelpad=6)
    axes.set_ylabel(f"{metric_title(selection.metric)} on the held-out fold")
    plot_style.plain_axes(axes)
    return figure


def _extent(some: Sequence[Candidate], *, metric: str) -> Range:
    """The first epochs, in which every network is bad, may leave the picture; the last are always in it."""
    lines = [line[np.isfinite(line)] for line in (mean_curve(c, metric) for c in some)]
    lines = [line for line in lines if len(line)]
    if not lines:
        return min(c.mean for c in some), max(c.mean for c in some)
    later = [line[min(1 + len(line) // 10, len(line) - 1) :] for line in lines]
    values = np.concatenate([fenced(np.concatenate(later)), [line[-1] for line in lines]])
    return float(values.min()), float(values.max())


def _legend(
    selection: Selection, strong: Candidate, lines: list[tuple[Candidate, np.ndarray]], shown: Range
) -> list[Artist]:
    from matplotlib.lines import Line2D

    found: list[Artist] = [Line2D([], [], **CHOSEN, label=f"chosen: {format_strength(strong.strength)}")]
    if _zero(selection) not in (None, strong):
        found.append(Line2D([], [], **ZERO, label="without L2"))
    off = off_the_scale([values[-1] for _, values in lines if len(values)], shown)
    found.append(Line2D([], [], **FAINT, label=f"all others{off}"))
    if selection.stopped:
        found.append(Line2D([], [], **{**STOPPED, **FAINT, "linestyle": "-"}, label="stopped early"))
    return found


def _chosen(selection: Selection, chosen: float | None) -> Candidate:
    return next((c for c in selection.candidates if c.strength == chosen), selection.best)


def _zero(selection: Selection) -> Candidate | None:
    return next((c for c in selection.candidates if c.strength == 0 and c.n), None)


def _title(selection: Selection) -> str:
    return f"{metric_title(selection.metric)} while training"
