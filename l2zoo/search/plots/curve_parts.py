"""What stands in the picture of a search: points, choices, notes and their legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports.numbers import format_strength
from l2zoo.reports.plot_style import BAND, BLUE, DOTTED, GREY, INK, RED
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.scale import standard_error
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

DOT: dict[str, Any] = {"marker": "o", "color": GREY, "linestyle": "none", "alpha": 0.45, "markersize": 3.4}
MEAN: dict[str, Any] = {"marker": "o", "color": BLUE, "markersize": 6}


def candidate(axes: Axes, drawn: Candidate, *, spread: float) -> None:
    """Draws one strength: every training a faint dot, the mean with its standard error, and its notes.

    Args:
        axes: Where to; their limits say what is off the scale.
        drawn: The strength. A mean that lacks failed trainings is hollow.
        spread: Room for the dots: a factor on the strength, or for strength 0 the width.
    """
    low, high = axes.get_ylim()
    scores = np.array(list(drawn.scores.values()))
    seen = (scores >= low) & (scores <= high)
    offsets = np.linspace(-0.3, 0.3, len(scores)) if len(scores) > 1 else np.zeros(len(scores))
    where = drawn.strength * spread**offsets if drawn.strength else spread * offsets
    axes.plot(where[seen], scores[seen], **DOT, markeredgewidth=0, zorder=2)
    off = bool(drawn.n) and not low <= drawn.mean <= high
    if off:
        _off_scale(axes, drawn, above=drawn.mean > high)
    elif drawn.n:
        axes.errorbar(
            [drawn.strength],
            [drawn.mean],
            [standard_error(drawn)] if drawn.n > 1 else None,
            **MEAN,
            markerfacecolor="white" if drawn.failed else BLUE,
            capsize=3.5,
            elinewidth=1.4,
            zorder=3,
        )
    if drawn.failed:
        _failures(axes, drawn, y=0.15 if off and drawn.mean < low else 0.03)


def chosen(figure: Figure, left: Axes, right: Axes, selection: Selection) -> None:
    """Draws the line through the means and the two choices, each with its own marker, line and name."""
    low, high = left.get_ylim()
    inside = [c for c in selection.candidates if c.strength and low <= c.mean <= high]
    right.plot(
        [c.strength for c in inside], [c.mean for c in inside], color=BLUE, lw=1.0, alpha=0.6, zorder=2
    )
    best, strong = selection.best, selection.one_se
    same = best.strength == strong.strength
    name = "★ best = one SE" if same else "★ best"
    names = [_choice(left, right, best, name, side="center" if same or not best.strength else "right")]
    if not same:
        names.append(_choice(left, right, strong, "◇ one SE", side="left"))
    _keep_apart(figure, names)


def handles() -> list[Artist]:
    """The legend's entries for all this."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], **MEAN, label="mean ± standard error"),
        Line2D([], [], **DOT, label="one training"),
        Patch(color=BAND, label="within one standard error (SE) of the best"),
        Line2D([], [], **DOTTED, label="mean without L2"),
    ]


def _choice(left: Axes, right: Axes, drawn: Candidate, name: str, *, side: str) -> Annotation:
    star = name.startswith("★")
    axes = right if drawn.strength else left
    axes.axvline(drawn.strength, color=INK, linestyle="-" if star else (0, (5, 3)), linewidth=1, zorder=1.5)
    axes.plot(
        [drawn.strength],
        [drawn.mean],
        marker="*" if star else "D",
        markersize=17 if star else 9,
        markerfacecolor=RED if star else "white",
        markeredgecolor=INK,
        zorder=5,
    )
    return axes.annotate(
        f"{name}: {format_strength(drawn.strength)}",
        (drawn.strength, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=({"right": 6, "left": -6}.get(side, 0), 7),
        textcoords="offset points",
        ha=side,
        size=9,
        weight="bold",
    )


def _keep_apart(figure: Figure, names: list[Annotation]) -> None:
    """Moves names that stand above the axes to the left, until none leaves the picture or hides another."""
    limit = figure.bbox.x1 - 8
    for name in reversed(names):
        box = name.get_window_extent()
        over = max(0.0, box.x1 - limit)
        x, y = name.xyann
        name.xyann = (x - over * 72 / figure.dpi, y)
        limit = box.x0 - over - 8


def _off_scale(axes: Axes, drawn: Candidate, *, above: bool) -> None:
    transform = axes.get_xaxis_transform()
    y, marker = (1.0, "^") if above else (0.0, "v")
    axes.plot(
        [drawn.strength],
        [y],
        marker,
        color=BLUE,
        markersize=9,
        transform=transform,
        clip_on=False,
        zorder=4,
    )
    axes.annotate(
        f"{drawn.mean:.3g}",
        (drawn.strength, y),
        xycoords=transform,
        xytext=(0, -9 if above else 9),
        textcoords="offset points",
        ha="center",
        va="top" if above else "bottom",
        size=9,
        color=BLUE,
    )


def _failures(axes: Axes, drawn: Candidate, *, y: float) -> None:
    axes.annotate(
        f"✕ {len(drawn.failed)} of {drawn.n + len(drawn.failed)} failed",
        (drawn.strength, y),
        xycoords=axes.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="bottom",
        size=9,
        color=RED,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )
