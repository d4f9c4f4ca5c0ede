"""A full grid of two hyperparameters as cells: colour and number say the mean score."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from l2zoo.tuning.candidates import Candidate, spelled
from l2zoo.tuning.marks import GREY, INK
from l2zoo.tuning.pairing import FAILED, LABEL, STAR, Colour, Pairing, value_of, written

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.3  # between strength 0 and the rest, in cells
NUMBER = 0.4  # inches that a number needs


def height(pairing: Pairing) -> float:
    """Inches below the legend."""
    return 0.62 + max(1.6, min(0.46 * len(pairing.values), 9.0))


def handles(pairing: Pairing) -> list[Artist]:
    """The legend's entries."""
    return pairing.handles()


def draw(figure: Figure, pairing: Pairing, *, room: dict[str, float], label: str) -> None:
    """Draws the cells: strengths from left to right, 0 apart; values of the other from below upwards."""
    axes = figure.add_subplot(figure.add_gridspec(1, 1, **room)[0])
    places = {s: i + (GAP if s and not pairing.strengths[0] else 0) for i, s in enumerate(pairing.strengths)}
    axes.set_xlim(-0.5, max(places.values()) + 0.5)
    axes.set_ylim(-0.5, len(pairing.values) - 0.5)
    cell = (room["right"] - room["left"]) * figure.get_figwidth() / (max(places.values()) + 1)
    turned = cell < 0.5
    axes.set_xticks(list(places.values()), [spelled(s) for s in places], rotation=90 if turned else 0)
    axes.set_yticks(range(len(pairing.values)), [written(v) for v in pairing.values])
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


def _luminance(colour: Colour) -> float:
    red, green, blue, _ = colour
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
