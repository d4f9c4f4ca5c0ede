"""What stands beside the scores in the curve of a search: the weights' norm, and what was tried elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from l2zoo.reports.plot_style import GREY
from l2zoo.search.candidates import Candidate
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

OCHRE = "#8a5a00"
NORM: dict[str, Any] = {
    "color": OCHRE,
    "linestyle": (0, (6, 1.5)),
    "linewidth": 0.8,
    "marker": "d",
    "markersize": 4,
    "markeredgewidth": 0,
}
_FAINT: dict[str, Any] = {"color": GREY, "linestyle": "none", "markerfacecolor": "none", "alpha": 0.75}
OTHER: dict[str, Any] = {**_FAINT, "marker": "o", "markersize": 5.5, "markeredgewidth": 0.8}
STOPPED: dict[str, Any] = {**_FAINT, "marker": "s", "markersize": 4.5, "markeredgewidth": 0.8}


def weight_norm(candidate: Candidate) -> float:
    """Mean Euclidean norm of the penalised weights over its trainings; NaN if none tells."""
    known = [r.weight_norm for r in candidate.done if r.weight_norm is not None]
    known = [norm for norm in known if math.isfinite(norm)]
    return math.fsum(known) / len(known) if known else math.nan


def has_norms(selection: Selection) -> bool:
    """Whether the axis of the norm is drawn."""
    return any(math.isfinite(weight_norm(c)) for c in selection.candidates)


def norms(left: Axes, right: Axes, selection: Selection) -> None:
    """Draws the norm of the weights against its own axis at the right, which begins at 0."""
    from matplotlib.transforms import blended_transform_factory

    known = [(c.strength, weight_norm(c)) for c in selection.candidates]
    known = [(strength, norm) for strength, norm in known if math.isfinite(norm)]
    axis = right.twinx()
    right.tick_params(left=False, labelleft=False)  # the twin has brought them back
    axis.set_ylim(0, 1.1 * max(norm for _, norm in known) or 1.0)
    axis.set_ylabel("Norm of the penalised weights", color=OCHRE)
    axis.tick_params(colors=OCHRE)
    axis.spines[["left", "top", "bottom"]].set_visible(False)
    axis.spines["right"].set_color(OCHRE)
    # Drawn by the axes of the scores, at the heights of the other: so it lies below what is said of scores.
    places = ((left, blended_transform_factory(left.transData, axis.transData)), (right, axis.transData))
    for axes, transform in places:
        mine = [point for point in known if (point[0] == 0) == (axes is left)]
        axes.plot(*zip(*mine, strict=True) if mine else ([], []), **NORM, transform=transform, zorder=1.6)


def elsewhere(left: Axes, right: Axes, selection: Selection) -> None:
    """Draws what was trained with other hyperparameters, and what was stopped early, as faint open marks."""
    low, high = left.get_ylim()
    for tried, style in ((selection.rest, OTHER), (selection.stopped, STOPPED)):
        seen = [c for c in tried if c.n and low <= c.mean <= high]
        for axes in (left, right):
            mine = [c for c in seen if (c.strength == 0) == (axes is left)]
            axes.plot([c.strength for c in mine], [c.mean for c in mine], **style, zorder=1.8)


def handles(selection: Selection, *, low: float, high: float) -> list[Artist]:
    """The legend's entries for what is there of all this; it counts what lies off the scale."""
    from matplotlib.lines import Line2D

    found: list[Artist] = []
    if has_norms(selection):
        found.append(Line2D([], [], **NORM, label="norm of the penalised weights"))
    rows = (
        (selection.rest, OTHER, "mean with other hyperparameters"),
        (selection.stopped, STOPPED, "stopped early"),
    )
    for tried, style, what in rows:
        if any(c.n for c in tried):
            found.append(Line2D([], [], **style, label=what + _off(tried, low=low, high=high)))
    return found


def _off(tried: Sequence[Candidate], *, low: float, high: float) -> str:
    count = sum(not low <= c.mean <= high for c in tried if c.n)
    return f" ({count} off the scale)" if count else ""
