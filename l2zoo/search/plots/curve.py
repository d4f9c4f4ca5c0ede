"""The picture of a search: score against the strength of L2, as glmnet's users know it.

It reads in black and white: what is chosen differs in marker and line, not in colour alone. Strengths that
collapsed are marked at the edge instead of squashing the rest. Beside the scores stand the norm of the
penalised weights and, faintly, what was tried with other hyperparameters or stopped early.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_mean, format_strength, metric_name, metric_title
from l2zoo.reports.plot_style import BAND, BLUE, DOTTED, GREY, INK, RED, Plot
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.scale import error_bar, off_the_scale, score_limits
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

OCHRE = "#8a5a00"
DOT: dict[str, Any] = {"marker": "o", "color": GREY, "linestyle": "none", "alpha": 0.45, "markersize": 3.4}
MEAN: dict[str, Any] = {"marker": "o", "color": BLUE, "markersize": 6}
NORM: dict[str, Any] = {"color": OCHRE, "linestyle": (0, (6, 1.5)), "linewidth": 0.8}
NORM |= {"marker": "d", "markersize": 4, "markeredgewidth": 0}
OTHER: dict[str, Any] = {"color": GREY, "linestyle": "none", "markerfacecolor": "none", "alpha": 0.75}
OTHER |= {"marker": "o", "markersize": 5.5, "markeredgewidth": 0.8}
STOPPED: dict[str, Any] = {**OTHER, "marker": "s", "markersize": 4.5}


def plot(selection: Selection, *, convention: str = "keras") -> Plot:
    """The curve of a search.

    Args:
        selection: The answer of a search.
        convention: That of the strengths, for the axis.
    """
    draw_it = partial(draw, selection, convention=convention)
    return Plot(_title(selection), alt_text(selection), draw_it)


def alt_text(selection: Selection) -> str:
    """The picture in words, for those who do not see it."""
    points = []
    for c in selection.candidates:
        score = format_mean(c.mean, c.standard_error) if c.n else "no score"
        failed = f" ({len(c.failed)} failed)" if c.failed else ""
        points.append(f"{format_strength(c.strength)}: {score}{failed}")
    norms = [(c.strength, weight_norm(c)) for c in selection.candidates]
    known = "; ".join(f"{format_strength(s)}: {norm:.3g}" for s, norm in norms if math.isfinite(norm))
    rows = ((selection.rest, "with other hyperparameters"), (selection.stopped, "stopped early"))
    sentences = [
        f"Mean {metric_name(selection.metric)} ± standard error for each strength of L2.",
        f"{'; '.join(points)}.",
        f"Best: {format_strength(selection.best.strength)}.",
        f"Strongest within one standard error of it: {format_strength(selection.one_se.strength)}.",
        f"Norm of the penalised weights: {known}." if known else "",
        *(f"Also shown: {len(tried)} {what}." for tried, what in rows if tried),
        str(selection.verdict),
    ]
    return " ".join(filter(None, sentences))


def draw(
    selection: Selection, *, convention: str = "keras", width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    """Composes the figure.

    Args:
        selection: The answer of a search.
        convention: That of the strengths, for the axis.
        width: Of the figure, in inches.
        headed: Whether the title and the verdict are written.
    """
    low, high = score_limits(selection)
    figure = plot_style.frame(
        width=width,
        height=4.0,
        title=_title(selection) if headed else "",
        sentences=(str(selection.verdict), selection.edge),
        legend=_legend(selection, low, high),
    )
    axes = figure.add_subplot()
    axes.set_ylim(low, high)
    axes.set_ylabel(metric_title(selection.metric))
    axes.set_xlabel(f"Strength (L2, convention {convention})", labelpad=6)
    axes.set_title(" ", size=9)  # room for the names of the choices
    plot_style.plain_axes(axes)
    linear = plot_style.strength_axis(axes, {c.strength for c in selection.every})
    _norms(axes, selection)
    _levels(axes, selection)
    _others(axes, selection)
    _candidates(axes, selection, linear=linear)
    _keep_apart(figure, _choices(axes, selection))
    return figure


def weight_norm(candidate: Candidate) -> float:
    """Mean Euclidean norm of the penalised weights over its trainings; NaN if none tells."""
    known = [r.weight_norm for r in candidate.done if r.weight_norm is not None]
    known = [norm for norm in known if math.isfinite(norm)]
    return math.fsum(known) / len(known) if known else math.nan


def _title(selection: Selection) -> str:
    return f"{metric_title(selection.metric)} against the strength of L2"


def _legend(selection: Selection, low: float, high: float) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found = [
        Line2D([], [], **MEAN, label="mean ± standard error"),
        Line2D([], [], **DOT, label="one training"),
        Patch(color=BAND, label="within one standard error (SE) of the best"),
        Line2D([], [], **DOTTED, label="mean without L2"),
    ]
    if any(math.isfinite(weight_norm(c)) for c in selection.candidates):
        found.append(Line2D([], [], **NORM, label="norm of the penalised weights"))
    rows = (
        (selection.rest, OTHER, "mean with other hyperparameters"),
        (selection.stopped, STOPPED, "stopped early"),
    )
    for tried, style, what in rows:
        means = [c.mean for c in tried if c.n]
        if means:
            found.append(Line2D([], [], **style, label=what + off_the_scale(means, (low, high))))
    return found


def _norms(axes: Axes, selection: Selection) -> None:
    """Draws the norm of the weights against its own axis at the right, which begins at 0."""
    known = [(c.strength, weight_norm(c)) for c in selection.candidates]
    known = [(strength, norm) for strength, norm in known if math.isfinite(norm)]
    if not known:
        return
    axis = axes.twinx()
    axis.set_ylim(0, 1.1 * max(norm for _, norm in known) or 1.0)
    axis.set_ylabel("Norm of the penalised weights", color=OCHRE)
    axis.tick_params(colors=OCHRE)
    axis.spines[["left", "top", "bottom"]].set_visible(False)
    axis.spines["right"].set_color(OCHRE)
    # By the axes of the scores, at the heights of the other: so it lies below what is said of scores.
    axes.plot(*plot_style.with_gap(*zip(*known, strict=True)), **NORM, transform=axis.transData, zorder=1.6)


def _levels(axes: Axes, selection: Selection) -> None:
    """Draws the band of one standard error around the best, and the line of no L2."""
    best, zero = selection.best, selection.candidates[0]
    error = error_bar(best)
    axes.axhspan(best.mean - error, best.mean + error, color=BAND, zorder=0.5, linewidth=0)
    if zero.strength == 0 and zero.n:
        axes.axhline(zero.mean, **DOTTED, zorder=1)


def _others(axes: Axes, selection: Selection) -> None:
    """Draws what was tried with other hyperparameters, and what was stopped early, as faint open marks."""
    low, high = axes.get_ylim()
    for tried, style in ((selection.rest, OTHER), (selection.stopped, STOPPED)):
        seen = [c for c in tried if c.n and low <= c.mean <= high]
        axes.plot([c.strength for c in seen], [c.mean for c in seen], **style, zorder=1.8)


def _candidates(axes: Axes, selection: Selection, *, linear: float) -> None:
    """Draws every strength, and a line through the means of those above 0."""
    low, high = axes.get_ylim()
    positive = sorted(c.strength for c in selection.candidates if c.strength)
    spread = min(plot_style.step(positive), (axes.get_xlim()[1] / linear) ** (1 / 12))
    for c in selection.candidates:
        offsets = np.linspace(-0.3, 0.3, c.n) if c.n > 1 else np.zeros(c.n)
        _candidate(axes, c, where=c.strength * spread**offsets if c.strength else linear * offsets)
    inside = [c for c in selection.candidates if c.strength and low <= c.mean <= high]
    line: dict[str, Any] = {"color": BLUE, "linewidth": 1.0, "alpha": 0.6, "zorder": 2}
    axes.plot([c.strength for c in inside], [c.mean for c in inside], **line)


def _candidate(axes: Axes, drawn: Candidate, *, where: np.ndarray) -> None:
    """Draws a strength: each training a faint dot, and the mean, hollow where failed trainings lack.

    Args:
        axes: Their limits say what is off the scale.
        drawn: The strength.
        where: The place of each dot `(n,)`: side by side, in the room that the strength has.
    """
    low, high = axes.get_ylim()
    across = axes.get_xaxis_transform()  # heights as parts of the axes
    scores = np.array(list(drawn.scores.values()))
    seen = (scores >= low) & (scores <= high)
    axes.plot(where[seen], scores[seen], **DOT, markeredgewidth=0, zorder=2)
    below, above = drawn.n and drawn.mean < low, drawn.n and drawn.mean > high
    if below or above:
        y, mark, away, side = (1, "^", -9, "top") if above else (0, "v", 9, "bottom")
        style: dict[str, Any] = {"color": BLUE, "markersize": 9, "clip_on": False, "zorder": 4}
        axes.plot([drawn.strength], [y], mark, **style, transform=across)
        text: dict[str, Any] = {"ha": "center", "va": side, "size": 9, "color": BLUE}
        text |= {"xytext": (0, away), "textcoords": "offset points"}
        axes.annotate(f"{drawn.mean:.3g}", (drawn.strength, y), xycoords=across, **text)
    elif drawn.n:
        style = {
            **MEAN,
            "markerfacecolor": "white" if drawn.failed else BLUE,
            "capsize": 3.5,
            "elinewidth": 1.4,
        }
        axes.errorbar([drawn.strength], [drawn.mean], error_bar(drawn) or None, **style, zorder=3)
    if drawn.failed:
        text = {"rotation": 90, "ha": "center", "va": "bottom", "size": 9, "color": RED, "transform": across}
        text["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        words = f"✕ {len(drawn.failed)} of {drawn.n + len(drawn.failed)} failed"
        axes.text(drawn.strength, 0.15 if below else 0.03, words, **text)


def _choices(axes: Axes, selection: Selection) -> list[Annotation]:
    """Marks the two choices, each with its own marker and line; gives their names above the axes."""
    best, strong = selection.best, selection.one_se
    if best.strength == strong.strength:
        return [_choice(axes, best, "★ best = one SE", side="center")]
    side = "right" if best.strength else "center"
    return [_choice(axes, best, "★ best", side=side), _choice(axes, strong, "◇ one SE", side="left")]


def _choice(axes: Axes, drawn: Candidate, name: str, *, side: str) -> Annotation:
    star = name.startswith("★")
    axes.axvline(drawn.strength, color=INK, linestyle="-" if star else (0, (5, 3)), linewidth=1, zorder=1.5)
    mark = ("*", 17, RED) if star else ("D", 9, "white")
    style: dict[str, Any] = dict(zip(("marker", "markersize", "markerfacecolor"), mark, strict=True))
    axes.plot([drawn.strength], [drawn.mean], **style, markeredgecolor=INK, zorder=5)
    place = {"xytext": ({"right": 6, "left": -6}.get(side, 0), 7), "textcoords": "offset points", "ha": side}
    text: dict[str, Any] = {**place, "size": 9, "weight": "bold", "in_layout": False}
    words, top = f"{name}: {format_strength(drawn.strength)}", (drawn.strength, 1)
    return axes.annotate(words, top, xycoords=axes.get_xaxis_transform(), **text)


def _keep_apart(figure: Figure, names: list[Annotation]) -> None:
    """Moves names that stand above the axes to the left, until none leaves the picture or hides another."""
    figure.draw_without_rendering()  # lays out: only now is known where they are
    figure.set_layout_engine(None)  # else saving lays it out once more
    limit = figure.bbox.x1 - 8
    for name in reversed(names):
        box = name.get_window_extent()
        over = max(0.0, box.x1 - limit)
        x, y = name.xyann
        name.xyann = (x - over * 72 / figure.dpi, y)
        limit = box.x0 - over - 8
