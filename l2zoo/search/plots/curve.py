"""The picture of a search: score against the strength of L2, as glmnet's users know it.

It reads in black and white: what is chosen differs in marker and line, not in colour alone. Strength 0 has
no place on a logarithmic axis and stands apart at the left; strengths that collapsed are marked at the edge
instead of squashing the rest.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength, metric_name
from l2zoo.reports.plot_style import break_between, log_strengths, step
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots import asides, curve_parts
from l2zoo.search.plots.scale import score_limits, standard_error
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot(selection: Selection, *, path: str | Path, convention: str = "keras") -> Path:
    """Draws the curve of a search into a file.

    Args:
        selection: The answer of a search.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        convention: That of the strengths, for the axis.

    Returns:
        The path. The file carries its description in words (`alt_text`).

    Raises:
        ValueError: The path ends in something else.
    """
    title = f"{name(selection)} against the strength of L2"
    return plot_style.save(
        lambda: draw(selection, title=title, convention=convention),
        path=path,
        title=title,
        words=alt_text(selection),
    )


def alt_text(selection: Selection) -> str:
    """The picture in words, for those who do not see it."""
    points = []
    for c in selection.candidates:
        score = f"{c.mean:.3f}" if c.n else "no score"
        spread = f" ± {c.standard_error:.3f}" if c.n > 1 else ""
        failed = f" ({len(c.failed)} failed)" if c.failed else ""
        points.append(f"{format_strength(c.strength)}: {score}{spread}{failed}")
    return (
        f"Mean {name(selection).lower()} ± standard error for each strength of L2. {'; '.join(points)}. "
        f"Best: {format_strength(selection.best.strength)}. Strongest within one standard error of it: "
        f"{format_strength(selection.one_se.strength)}. {_asides_in_words(selection)}{selection.verdict}"
    )


def draw(
    selection: Selection, *, title: str, convention: str, width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    """Composes the figure: heading, legend, small axes for 0 and large ones for the strengths above.

    Args:
        selection: The answer of a search.
        title: Stands at the top, with the verdict below.
        convention: That of the strengths, for the axis.
        width: Of the figure, in inches.
        headed: Whether the title and the verdict are written.
    """
    lines = plot_style.wrapped(str(selection.verdict), selection.edge) if headed else []
    used = 0.60 + plot_style.LINE * len(lines) if headed else 0.05
    low, high = score_limits(selection)
    rows = [
        *plot_style.legend_rows(curve_parts.handles(), width=width),
        *plot_style.legend_rows(asides.handles(selection, low=low, high=high), width=width),
    ]
    top = used + plot_style.ROW * len(list(filter(None, rows))) + 0.38
    figure = plot_style.blank(width=width, height=top + 3.6)
    if headed:
        plot_style.heading(figure, title, lines)
    plot_style.legend(figure, list(filter(None, rows)), down=used)
    left, right = _panels(figure, top=top, normed=asides.has_norms(selection))
    left.set_ylim(low, high)
    left.set_ylabel(name(selection))
    right.set_xlabel(f"Strength (L2, convention {convention})", labelpad=6)
    _furnish(left, right, selection)
    spread = _strengths(right, selection)
    for candidate in selection.candidates:
        if candidate.strength:
            curve_parts.candidate(right, candidate, spread=spread)
        else:
            curve_parts.candidate(left, candidate, spread=1.2)
    asides.elsewhere(left, right, selection)
    if asides.has_norms(selection):
        asides.norms(left, right, selection)
    curve_parts.chosen(figure, left, right, selection)
    return figure


def name(selection: Selection) -> str:
    """The metric as people write it, for titles and axes."""
    return metric_name(selection.metric).capitalize()


def _panels(figure: Figure, *, top: float, normed: bool) -> tuple[Axes, Axes]:
    width, height = figure.get_size_inches()
    aside = 0.72 if normed else 0.25
    edges = {"left": 0.78 / width, "right": 1 - aside / width, "bottom": 0.62 / height}
    ratios = (0.53, width - 1.31 - aside)
    grid = figure.add_gridspec(1, 2, width_ratios=ratios, wspace=0.03, top=1 - top / height, **edges)
    left = figure.add_subplot(grid[0])
    return left, figure.add_subplot(grid[1], sharey=left)


def _strengths(axes: Axes, selection: Selection) -> float:
    """Sets up the logarithmic axis and gives the room that each strength has on it, as a factor."""
    mine = sorted(c.strength for c in selection.candidates if c.strength)
    everywhere = (*selection.candidates, *selection.rest, *selection.stopped)
    strengths = sorted({c.strength for c in everywhere if c.strength})
    if not strengths:
        axes.set_xticks([])
        return 1.0
    log_strengths(axes, strengths)
    low, high = axes.get_xlim()
    return min(step(mine), (high / low) ** (1 / 12))


def _asides_in_words(selection: Selection) -> str:
    norms = [(c.strength, asides.weight_norm(c)) for c in selection.candidates]
    known = "; ".join(f"{format_strength(s)}: {norm:.3g}" for s, norm in norms if math.isfinite(norm))
    rows: list[tuple[tuple[Candidate, ...], str]] = [
        (selection.rest, "with other hyperparameters"),
        (selection.stopped, "stopped early"),
    ]
    counted = [f"Also shown: {len(tried)} {what}. " for tried, what in rows if tried]
    return (f"Norm of the penalised weights: {known}. " if known else "") + "".join(counted)


def _furnish(left: Axes, right: Axes, selection: Selection) -> None:
    """Spines, the break between the axes, the band of one standard error, the line of no L2."""
    left.set_xlim(-1, 1)
    left.set_xticks([0], ["0"])
    right.tick_params(left=False, labelleft=False)
    best, zero = selection.best, selection.candidates[0]
    break_between(left, right)
    for axes in (left, right):
        axes.grid(axis="y", color=plot_style.BAND, linewidth=0.8)
        axes.set_axisbelow(True)
        error = standard_error(best)
        axes.axhspan(best.mean - error, best.mean + error, color=plot_style.BAND, zorder=0.5, linewidth=0)
        if zero.strength == 0 and zero.n:
            axes.axhline(zero.mean, **plot_style.DOTTED, zorder=1)
