"""The picture of a search over two hyperparameters: strength against another one, the mean score as colour.

Darker is better, in print too. On a full grid the numbers stand in the discs, where there is room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.engine.record import Value
from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength, format_value, is_number, metric_name, metric_title
from l2zoo.reports.plot_style import GREY, INK, RED, Plot
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.curve import STOPPED
from l2zoo.search.plots.scale import limits
from l2zoo.search.select import Selection
from l2zoo.stats.summary import sign_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHADES = ["#edf2f9", "#8fb2d9", "#3f77b5", "#12305c"]
STAR: dict[str, Any] = {"marker": "*", "markerfacecolor": RED, "linestyle": "none"}
FAILED: dict[str, Any] = {"marker": "x", "color": RED, "markersize": 7, "linestyle": "none"}
DISC, LARGE = 150.0, 950.0  # area of a disc, and of one with a number in it, in square points
ROOM = 0.48  # that the latter needs, in inches
ROWS = 8  # so many values stand in rows of equal height; more numbers on an axis
LOGARITHMIC = 30.0  # numbers over so large a factor stand on a logarithmic axis
LETTERS = 16  # of a value at an axis


def plot(selection: Selection, *, convention: str = "keras") -> Plot:
    """The mean score over strength and another hyperparameter.

    Of several others the first by name whose values differ is drawn. On a full grid the rest stand at their
    best values; elsewhere every trial is drawn, whatever the rest.

    Args:
        selection: The answer of a search over at least one other hyperparameter.
        convention: That of the strengths, for the axis.

    Raises:
        ValueError: No other hyperparameter has two values.
    """
    return Plot(_title(selection), alt_text(selection), partial(draw, selection, convention=convention))


def alt_text(selection: Selection) -> str:
    """The picture in words, for those who do not see it."""
    other = _axis(selection)
    points = [
        f"{format_strength(c.strength)} and {format_value(_value(c, other))}: "
        + (f"{c.mean:.3f}" if c.n else f"no score ({len(c.failed)} failed)")
        for c in _shown(selection, other)
    ]
    what = metric_name(selection.metric)
    words = f"Mean {what} for each strength of L2 and value of {other}. {'; '.join(points)}."
    return f"{words} {_best_in_words(selection)}"


def varying(selection: Selection) -> str | None:
    """The hyperparameter to draw strength against: the first by name that was tried with two values."""
    values: dict[str, set[str]] = {}
    for candidate in (*selection.candidates, *selection.rest):
        for name, value in candidate.others:
            values.setdefault(name, set()).add(repr(value))
    return next((name for name in sorted(values) if len(values[name]) > 1), None)


def draw(
    selection: Selection, *, convention: str = "keras", width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    """Composes the figure.

    Args:
        selection: The answer of a search over at least one other hyperparameter.
        convention: That of the strengths, for the axis.
        width: Of the figure, in inches.
        headed: Whether the title and the best are written.
    """
    other = _axis(selection)
    tried = _shown(selection, other)
    grid = _is_grid(tried, other)
    stopped = () if grid else selection.stopped
    values = sorted({repr(v): v for v in (_value(c, other) for c in (*tried, *stopped))}.values(), key=_order)
    rows = len(values) if len(values) <= ROWS or not all(map(is_number, values)) else 0
    figure = plot_style.frame(
        width=width,
        height=max(2.4, min(0.7 + 0.52 * rows, 9.0)) if rows else 3.9,
        title=_title(selection) if headed else "",
        sentences=[_best_in_words(selection)],
        legend=_legend(tried, stopped),
    )
    axes = figure.add_subplot()
    axes.set_xlabel(f"Strength (L2, convention {convention})", labelpad=6)
    axes.set_ylabel(other)
    plot_style.plain_axes(axes, grid="both")
    heights = _rows(axes, values) if rows else _numbers(axes, values)
    margins = 2.0 + 0.07 * max((len(label.get_text()) for label in axes.get_yticklabels()), default=0)
    strengths = sorted({c.strength for c in (*tried, *stopped)})
    linear = plot_style.strength_axis(axes, strengths, margins=margins)

    def places(some: Sequence[Candidate]) -> tuple[list[float], list[float]]:
        return [c.strength for c in some], [heights[repr(_value(c, other))] for c in some]

    axes.plot(*places(stopped), **STOPPED)
    axes.plot(*places([c for c in tried if not c.n]), **FAILED, zorder=3)
    decades = math.log10(axes.get_xlim()[1] / linear)
    closest = math.log10(plot_style.step([strength for strength in strengths if strength]))
    numbered = grid and (width - margins) * closest / decades > ROOM
    scored = [c for c in tried if c.n]
    _discs(axes, selection, scored, *places(scored), numbered=numbered)
    return figure


def _discs(
    axes: Axes,
    selection: Selection,
    scored: Sequence[Candidate],
    x: Sequence[float],
    y: Sequence[float],
    *,
    numbered: bool,
) -> None:
    """Draws what was tried, the best with a star; collapsed strengths take no shades from the rest."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.transforms import ScaledTranslation

    low, high = limits(selection, extent=lambda some: (min(c.mean for c in some), max(c.mean for c in some)))
    means = [c.mean for c in scored]
    up = sign_of(selection.mode) > 0
    best = np.array([c == selection.best for c in scored])
    discs = axes.scatter(
        x, y, s=LARGE if numbered else np.where(best, 2.2 * DISC, DISC), c=means, norm=Normalize(low, high),
        cmap=LinearSegmentedColormap.from_list("l2zoo", SHADES if up else SHADES[::-1]),
        edgecolors=np.where(best, INK, GREY).tolist(), linewidths=np.where(best, 2.0, 0.7).tolist(), zorder=3,
    )  # fmt: skip
    for strength, height, mean in zip(x, y, means, strict=True) if numbered else ():
        ink = "white" if ((mean - low) / (high - low) > 0.5) == up else INK
        axes.text(strength, height, f"{mean:.3f}", color=ink, size=8, ha="center", va="center", zorder=4)
    aside, edge = (12 / 72, INK) if numbered else (0.0, "white")
    place = axes.transData + ScaledTranslation(aside, aside, axes.figure.dpi_scale_trans)
    style: dict[str, Any] = {"markersize": 13, "markeredgecolor": edge, "transform": place}
    axes.plot(np.array(x)[best], np.array(y)[best], **STAR, **style, zorder=5)
    beyond = min(means) < low, max(means) > high
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(beyond, "neither")
    bar = axes.figure.colorbar(discs, ax=axes, extend=extend, aspect=25, pad=0.03)
    bar.set_label(f"Mean {metric_name(selection.metric)}")
    bar.outline.set_visible(False)
    bar.ax.locator_params(nbins=5)


def _rows(axes: Axes, values: Sequence[Value]) -> dict[str, float]:
    """Makes the y axis one of rows, words shortened where they are long; gives the height of each value."""
    names = [format_value(value) for value in values]
    short = [name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…" for name in names]
    axes.set_yticks(range(len(values)), short)
    axes.set_ylim(-0.6, len(values) - 0.4)
    return {repr(value): float(row) for row, value in enumerate(values)}


def _numbers(axes: Axes, values: Sequence[Any]) -> dict[str, float]:
    """Makes the y axis one of numbers, logarithmic if they need it; gives the height of each value."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    low, high = float(values[0]), float(values[-1])
    if low > 0 and high / low >= LOGARITHMIC:
        axes.set_yscale("log")
        axes.set_ylim(low / (high / low) ** 0.09, high * (high / low) ** 0.09)
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.margins(y=0.09)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value)))
    return {repr(value): float(value) for value in values}


def _legend(tried: Sequence[Candidate], stopped: Sequence[Candidate]) -> list[Artist]:
    from matplotlib.lines import Line2D

    found: list[Artist] = [Line2D([], [], **STAR, markeredgecolor=INK, markersize=11, label="best")]
    if any(not c.n for c in tried):
        found.append(Line2D([], [], **FAILED, label="failed"))
    if stopped:
        found.append(Line2D([], [], **STOPPED, label="stopped early"))
    return found


def _shown(selection: Selection, other: str) -> list[Candidate]:
    """The candidates in the picture: a full grid's slice through the best, or else all."""
    everything = [*selection.candidates, *selection.rest]

    def aside(candidate: Candidate) -> list:
        return [pair for pair in candidate.others if pair[0] != other]

    through = [c for c in everything if aside(c) == aside(selection.best)]
    return through if _is_grid(through, other) else everything


def _is_grid(tried: list[Candidate], other: str) -> bool:
    """Whether every strength was tried with every value, two of each at least."""
    strengths = {c.strength for c in tried}
    values = {repr(_value(c, other)) for c in tried}
    return min(len(strengths), len(values)) > 1 and len(tried) == len(strengths) * len(values)


def _value(candidate: Candidate, other: str) -> Value:
    return dict(candidate.others).get(other, "-")


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers rise, anything else follows the alphabet."""
    return (0, value, "") if is_number(value) else (1, 0.0, str(value))


def _best_in_words(selection: Selection) -> str:
    pairs = [f"{name} {format_value(value)}" for name, value in selection.best.others]
    where = ", ".join([f"strength {format_strength(selection.best.strength)}", *pairs])
    return f"Best: {where}; mean {metric_name(selection.metric)} {selection.best.mean:.3f}."


def _axis(selection: Selection) -> str:
    other = varying(selection)
    if other is None:
        raise ValueError("No hyperparameter besides the strength was tried with two values: draw the curve.")
    return other


def _title(selection: Selection) -> str:
    return f"{metric_title(selection.metric)} against the strength of L2 and {_axis(selection)}"
