"""A random or Bayesian search over two hyperparameters as discs, each where it looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from l2zoo.reports import plot_style
from l2zoo.reports.plot_style import BAND, GREY, INK
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots import asides
from l2zoo.search.plots.pairing import FAILED, LABEL, STAR, Pairing, is_number, tick, value_of, written

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DISC = 150.0  # area of a disc, in square points
LOGARITHMIC = 30.0  # values over so large a factor stand on a logarithmic axis


def height(pairing: Pairing) -> float:
    """Inches of the axes."""
    return 3.2 if _numbers(pairing) else max(1.6, min(0.55 * len(pairing.values), 9.0))


def bottom(pairing: Pairing, *, width: float) -> float:
    """Inches below the axes."""
    return 0.62


def handles(pairing: Pairing) -> list[Artist]:
    """The legend's entries."""
    from matplotlib.lines import Line2D

    found = pairing.handles()
    if pairing.stopped:
        found.append(Line2D([], [], **asides.STOPPED, label="stopped early"))
    return found


def draw(figure: Figure, pairing: Pairing, *, room: dict[str, float], label: str) -> None:
    """Draws the discs: strength on a logarithmic axis, 0 apart at the left, the other value upwards."""
    inches = (room["right"] - room["left"]) * figure.get_figwidth()
    grid = figure.add_gridspec(1, 2, width_ratios=(0.5, inches - 0.5), wspace=0.03, **room)
    left = figure.add_subplot(grid[0])
    right = figure.add_subplot(grid[1], sharey=left)
    left.set_xlim(-1, 1)
    left.set_xticks([0], ["0"])
    positive = [s for s in pairing.strengths if s]
    if positive:
        plot_style.log_strengths(right, positive)
    right.set_xlabel(label, labelpad=6)
    right.tick_params(left=False, labelleft=False)
    left.set_ylabel(pairing.other)
    _values(left, pairing)
    plot_style.break_between(left, right)
    for axes in (left, right):
        axes.grid(color=BAND, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=LABEL)
        _discs(axes, pairing, [c for c in pairing.tried if (c.strength == 0) == (axes is left)])
        stopped = [c for c in pairing.stopped if (c.strength == 0) == (axes is left)]
        axes.plot([c.strength for c in stopped], _heights(pairing, stopped), **asides.STOPPED)


def _discs(axes: Axes, pairing: Pairing, mine: list[Candidate]) -> None:
    scored, failed = [c for c in mine if c.n], [c for c in mine if not c.n]
    axes.scatter(
        [c.strength for c in scored],
        _heights(pairing, scored),
        s=DISC,
        c=[pairing.colour(c) for c in scored],
        edgecolors=GREY,
        linewidths=0.7,
        zorder=3,
    )
    axes.plot([c.strength for c in failed], _heights(pairing, failed), **FAILED, zorder=3)
    for best in (c for c in scored if c == pairing.best):
        (y,) = _heights(pairing, [best])
        ring: dict[str, Any] = {
            "s": 2.2 * DISC,
            "c": [pairing.colour(best)],
            "edgecolors": INK,
            "linewidths": 1.8,
        }
        axes.scatter([best.strength], [y], **ring, zorder=4)
        axes.plot([best.strength], [y], **STAR, markeredgecolor="white", markersize=13, zorder=5)


def _numbers(pairing: Pairing) -> bool:
    return all(map(is_number, pairing.values))


def _heights(pairing: Pairing, some: list[Candidate]) -> list[float]:
    values = [value_of(c, pairing.other) for c in some]
    if _numbers(pairing):
        return [float(value) for value in values]
    rows = {repr(value): float(row) for row, value in enumerate(pairing.values)}
    return [rows[repr(value)] for value in values]


def _values(axes: Axes, pairing: Pairing) -> None:
    """Sets up the axis of the other hyperparameter: numbers, logarithmic if they need it, or rows."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    if not _numbers(pairing):
        axes.set_yticks(range(len(pairing.values)), [tick(v) for v in pairing.values])
        axes.set_ylim(-0.6, len(pairing.values) - 0.4)
        return
    low, high = float(pairing.values[0]), float(pairing.values[-1])
    if low > 0 and high / low >= LOGARITHMIC:
        axes.set_yscale("log")
        axes.set_ylim(low / (high / low) ** 0.09, high * (high / low) ** 0.09)
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        pad = 0.09 * (high - low) or 1.0
        axes.set_ylim(low - pad, high + pad)
    if len(pairing.values) <= 6 and axes.get_yscale() == "linear":
        axes.set_yticks([float(v) for v in pairing.values])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))
