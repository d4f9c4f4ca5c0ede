"""A full grid of two hyperparameters as cells: colour and number say the mean score."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from l2zoo.reports.numbers import format_strength
from l2zoo.reports.plot_style import GREY, INK
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.pairing import FAILED, LABEL, STAR, Colour, Pairing, tick, value_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.3  # between strength 0 and the rest, in cells
NUMBER = 0.4  # inches that a number needs


def height(pairing: Pairing) -> float:
    """Inches of the axes."""
    return max(1.6, min(0.46 * len(pairing.values), 9.0))


def bottom(pairing: Pairing, *, width: float) -> float:
    """Inches below the axes: strengths that do not fit beside each other stand upright."""
    return 0.95 if _turned(pairing, width=width) else 0.62


def handles(pairing: Pairing) -> list[Artist]:
    """The legend's entries."""
    return pairing.handles()


def draw(figure: Figure, pairing: Pairing, *, room: dict[str, float], label: str) -> None:
    """Draws the cells: strengths from left to right, 0 apart; values of the other from below upwards."""
    axes = figure.add_subplot(figure.add_gridspec(1, 1, **room)[0])
    width = figure.get_figwidth()
    places = {s: i + (GAP if s and not pairing.strengths[0] else 0) for i, s in enumerate(pairing.strengths)}
    axes.set_xlim(-0.5, max(places.values()) + 0.5)
    axes.set_ylim(-0.5, len(pairing.values) - 0.5)
    cell = (room["right"] - room["left"]) * width / (max(places.values()) + 1)
    turn = 90 if _turned(pairing, width=width) else 0
    axes.set_xticks(list(places.values()), [format_strength(s) for s in places], rotation=turn)
    axes.set_yticks(range(len(pairing.values)), [tick(v) for v in pairing.values])
    axes.tick_params(length=0, labelsize=LABEL)
    axes.set_xlabel(label, labelpad=6)
    axes.set_ylabel(pairing.other)
    axes.spines[:].set_visible(False)
    rows = {repr(value): row for row, value in enumerate(pairing.values)}
    for candidate in pairing.tried:
        place = (places[candidate.strength], rows[repr(value_of(candidate, pairing.other))])
        _cell(axes, candidate, pairing, place=place, numbered=cell >= NUMBER)


def _cell(
    axes: Axes, candidate: Candidate, pairing: Pairing, *, place: tuple[float, float], numbered: bool
) -> None:
    from matplotlib.patches import Rectangle

    x, y = place
    cell = functools.partial(Rectangle, (x - 0.5, y - 0.5), 1, 1)
    if not candidate.n:
        axes.add_patch(cell(fill=False, edgecolor=GREY, linewidth=0, hatch="////", alpha=0.35))
        axes.plot([x], [y], **FAILED)
        return
    colour = pairing.colour(candidate)
    axes.add_patch(cell(facecolor=colour, edgecolor="white", linewidth=2))
    if candidate == pairing.best:
        axes.add_patch(cell(fill=False, edgecolor=INK, linewidth=2.2, zorder=4, clip_on=False))
        where = (x + 0.5, y + 0.5) if numbered else (x, y)
        axes.plot(*where, **STAR, markeredgecolor=INK, markersize=15, zorder=5, clip_on=False)
    if numbered:
        ink = "white" if _luminance(colour) < 0.45 else INK
        axes.text(x, y, f"{candidate.mean:.3f}", color=ink, size=LABEL, ha="center", va="center")


def _turned(pairing: Pairing, *, width: float) -> bool:
    return (width - 1.8) / len(pairing.strengths) < 0.55


def _luminance(colour: Colour) -> float:
    red, green, blue, _ = colour
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
