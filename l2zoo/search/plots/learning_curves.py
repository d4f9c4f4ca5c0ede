"""The picture of how the trainings went: the score on the held-out fold against the epoch.

It shows at a glance whether the epochs were enough, and where L2 makes itself felt.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength
from l2zoo.reports.plot_style import BAND, BLUE, GREY, INK
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots import curve
from l2zoo.search.plots.asides import STOPPED
from l2zoo.search.plots.averages import curve_limits, every, has_curves, mean_curve
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOSEN: dict[str, Any] = {"color": BLUE, "linewidth": 2.4}
ZERO: dict[str, Any] = {"color": INK, "linewidth": 1.5, "linestyle": (0, (5, 2.5))}
FAINT: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.5}


def learning(selection: Selection, *, path: str | Path, chosen: float | None = None) -> Path:
    """Draws the learning curves of a search into a file.

    A line is the mean over folds and seeds; where trainings end early, over those that still run.

    Args:
        selection: The answer of a search.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        chosen: The strength to draw strongly; the best by default.

    Returns:
        The path. The file carries its description in words (`alt_text`).

    Raises:
        ValueError: No record has a curve of the metric, or the path ends in something else.
    """
    return plot_style.save(
        lambda: draw(selection, chosen=chosen),
        path=path,
        title=_title(selection),
        words=alt_text(selection, chosen=chosen),
    )


def alt_text(selection: Selection, *, chosen: float | None = None) -> str:
    """The picture in words, for those who do not see it."""
    what = f"{curve.name(selection)} on the held-out fold against the epoch"
    sentences = [f"{what}, for {len(every(selection))} candidates."]
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
    if not has_curves(selection):
        raise ValueError(f"No training has a curve of {selection.metric!r}, so there is nothing to draw.")
    strong, zero = _chosen(selection, chosen), _zero(selection)
    rows = plot_style.legend_rows(_handles(selection, strong), width=width)
    used = 0.55 if headed else 0.05
    top = used + plot_style.ROW * len(rows) + 0.15
    figure = plot_style.blank(width=width, height=top + 3.7)
    if headed:
        plot_style.heading(figure, _title(selection), [])
    plot_style.legend(figure, rows, down=used)
    height = figure.get_figheight()
    edges = {"left": 0.78 / width, "right": 1 - 0.25 / width, "bottom": 0.62 / height}
    axes = figure.add_subplot(figure.add_gridspec(1, 1, **edges, top=1 - top / height)[0])
    for candidate in every(selection):
        if candidate not in (strong, zero):
            _line(axes, candidate, selection, FAINT, zorder=2)
    if zero is not None and zero is not strong:
        _line(axes, zero, selection, ZERO, zorder=3)
    _line(axes, strong, selection, CHOSEN, zorder=4)
    _furnish(axes, selection)
    return figure


def _line(
    axes: Axes, candidate: Candidate, selection: Selection, style: dict[str, Any], *, zorder: int
) -> None:
    values = mean_curve(candidate, selection.metric)
    epochs = np.arange(1, len(values) + 1)
    alone: dict[str, Any] = {"marker": "o", "markersize": 4} if len(values) == 1 else {}
    axes.plot(epochs, values, **style, **alone, zorder=zorder)
    if candidate in selection.stopped and len(values):
        axes.plot(epochs[-1:], values[-1:], **STOPPED, zorder=2)


def _furnish(axes: Axes, selection: Selection) -> None:
    from matplotlib.ticker import MaxNLocator

    lines = [mean_curve(c, selection.metric) for c in every(selection)]
    last = max(map(len, lines))
    axes.set_xlim(1 - 0.02 * last, last + 0.02 * last)
    axes.set_ylim(*curve_limits(selection))
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch", labelpad=6)
    axes.set_ylabel(f"{curve.name(selection)} on the held-out fold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=BAND, linewidth=0.8)
    axes.set_axisbelow(True)


def _handles(selection: Selection, strong: Candidate) -> list[Artist]:
    from matplotlib.lines import Line2D

    found: list[Artist] = [Line2D([], [], **CHOSEN, label=f"chosen: {format_strength(strong.strength)}")]
    if _zero(selection) not in (None, strong):
        found.append(Line2D([], [], **ZERO, label="without L2"))
    low, high = curve_limits(selection)
    lines = [mean_curve(c, selection.metric) for c in every(selection)]
    off = sum(not low <= line[-1] <= high for line in lines if len(line))
    found.append(Line2D([], [], **FAINT, label="all others" + (f" ({off} off the scale)" if off else "")))
    if selection.stopped:
        found.append(Line2D([], [], **{**STOPPED, **FAINT, "linestyle": "-"}, label="stopped early"))
    return found


def _chosen(selection: Selection, chosen: float | None) -> Candidate:
    return next((c for c in selection.candidates if c.strength == chosen), selection.best)


def _zero(selection: Selection) -> Candidate | None:
    return next((c for c in selection.candidates if c.strength == 0 and c.n), None)


def _title(selection: Selection) -> str:
    return f"{curve.name(selection)} while training"
