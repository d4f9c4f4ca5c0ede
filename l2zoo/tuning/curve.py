"""The picture of a search: score against the strength of L2, as glmnet's users know it.

It reads in black and white: what is chosen differs in marker and line, not in colour alone. Strength 0 has
no place on a logarithmic axis and stands apart at the left; strengths that collapsed are marked at the edge
instead of squashing the rest.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.replacing import replacing
from l2zoo.tuning import marks
from l2zoo.tuning.candidates import spelled
from l2zoo.tuning.scale import score_limits, standard_error, step
from l2zoo.tuning.select import Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 10,
    "text.color": marks.INK,
    "axes.edgecolor": marks.GREY,
    "axes.labelcolor": marks.INK,
    "xtick.color": marks.INK,
    "ytick.color": marks.INK,
    "svg.hashsalt": "l2zoo",  # the same search gives the same file
}
LINE = 0.19  # height of a line of the verdict, in inches


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
    import matplotlib

    path = Path(path)
    kind = path.suffix.lower()
    words = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
    if kind not in words:
        raise ValueError(f"`path` must end in .png, .svg or .pdf, got path={str(path)!r}.")
    title = f"{_name(selection)} against the strength of L2"
    metadata = {"Title": title, words[kind]: alt_text(selection)}
    undated: dict[str, None] = {} if kind == ".png" else {"Date" if kind == ".svg" else "CreationDate": None}
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        figure = draw(selection, title=title, convention=convention)
        figure.savefig(temporary, dpi=160, metadata={**metadata, **undated})
    return path


def alt_text(selection: Selection) -> str:
    """The picture in words, for those who do not see it."""
    points = []
    for c in selection.candidates:
        score = f"{c.mean:.3f}" if c.n else "no score"
        spread = f" ± {c.standard_error:.3f}" if c.n > 1 else ""
        failed = f" ({len(c.failed)} failed)" if c.failed else ""
        points.append(f"{spelled(c.strength)}: {score}{spread}{failed}")
    return (
        f"Mean {_name(selection).lower()} ± standard error for each strength of L2. {'; '.join(points)}. "
        f"Best: {spelled(selection.best.strength)}. Strongest within one standard error of it: "
        f"{spelled(selection.one_se.strength)}. {selection.verdict}"
    )


def draw(selection: Selection, *, title: str, convention: str) -> Figure:
    """Composes the figure: heading, legend, small axes for 0 and large ones for the strengths above."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = textwrap.wrap(" ".join(filter(None, (str(selection.verdict), selection.edge))), 110)
    height = 4.8 + LINE * len(lines)

    def down(inches: float) -> float:  # from the top, as a part of the height
        return 1 - inches / height

    figure = Figure(figsize=(8.2, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.03, down(0.16), title, size=14, weight="bold", va="top")
    figure.text(0.03, down(0.52), "\n".join(lines), size=9.5, va="top", linespacing=1.35)
    marks.legend(figure, y=down(0.60 + LINE * len(lines)))
    edges = {"left": 0.095, "right": 0.97, "bottom": 0.62 / height, "top": down(1.20 + LINE * len(lines))}
    grid = figure.add_gridspec(1, 2, width_ratios=(1, 13), wspace=0.03, **edges)
    left = figure.add_subplot(grid[0])
    right = figure.add_subplot(grid[1], sharey=left)
    left.set_ylim(*score_limits(selection))
    left.set_ylabel(_name(selection))
    right.set_xlabel(f"Strength (L2, convention {convention})", labelpad=6)
    _furnish(left, right, selection)
    spread = _strengths(right, selection)
    for candidate in selection.candidates:
        if candidate.strength:
            marks.candidate(right, candidate, spread=spread)
        else:
            marks.candidate(left, candidate, spread=1.2)
    marks.chosen(figure, left, right, selection)
    return figure


def _strengths(axes: Axes, selection: Selection) -> float:
    """Sets up the logarithmic axis and gives the room that each strength has on it, as a factor."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    strengths = [c.strength for c in selection.candidates if c.strength > 0]
    if not strengths:
        axes.set_xticks([])
        return 1.0
    nearest = step(strengths)
    low, high = strengths[0] / min(nearest, 10.0) ** 0.8, strengths[-1] * min(nearest, 10.0) ** 0.8
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    if strengths[-1] / strengths[0] >= 99:
        axes.xaxis.set_major_locator(LogLocator(base=10, numticks=20))
    else:
        axes.set_xticks(strengths)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: spelled(value)))
    return min(nearest, (high / low) ** (1 / 12))


def _furnish(left: Axes, right: Axes, selection: Selection) -> None:
    """Spines, the break between the axes, the band of one standard error, the line of no L2."""
    left.set_xlim(-1, 1)
    left.set_xticks([0], ["0"])
    right.tick_params(left=False, labelleft=False)
    best, zero = selection.best, selection.candidates[0]
    for axes, inner, x in ((left, "right", 1.0), (right, "left", 0.0)):
        axes.spines[["top", "right", inner]].set_visible(False)
        axes.grid(axis="y", color=marks.BAND, linewidth=0.8)
        axes.set_axisbelow(True)
        stroke: dict[str, Any] = {"marker": [(-0.5, -1), (0.5, 1)], "markersize": 9, "color": marks.GREY}
        axes.plot([x], [0], **stroke, clip_on=False, transform=axes.transAxes, linestyle="none")
        error = standard_error(best)
        axes.axhspan(best.mean - error, best.mean + error, color=marks.BAND, zorder=0.5, linewidth=0)
        if zero.strength == 0 and zero.n:
            axes.axhline(zero.mean, **marks.DOTTED, zorder=1)


def _name(selection: Selection) -> str:
    return selection.metric.removeprefix("val_").replace("_", " ").capitalize()
