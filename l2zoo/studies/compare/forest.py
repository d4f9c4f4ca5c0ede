"""The forest plot of a comparison: every variant's difference to the baseline, with its intervals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import metric_name
from l2zoo.reports.plot_style import BLUE, DOTTED, GREY, INK, RED
from l2zoo.studies.compare import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from l2zoo.studies.compare.result import Comparison, Standing

ROW = 0.42  # inches
COLORS = {"better": BLUE, "worse": RED}


def forest_plot(comparison: Comparison, path: str | Path) -> Path:
    """Draws it into a file, which carries it in words too."""
    return plot_style.save(
        lambda: draw(comparison), path=path, title=title(comparison), words=alt_text(comparison)
    )


def title(comparison: Comparison) -> str:
    """What the picture shows."""
    return f"{_metric(comparison)} of each variant, less that of {comparison.baseline}"


def alt_text(comparison: Comparison) -> str:
    """The picture in words."""
    parts = []
    for each in _rows(comparison):
        gap = each.difference
        shown = "not compared" if gap is None else f"{gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        parts.append(f"{each.name}: {shown}, {text.verdict(comparison, each)}")
    return f"{title(comparison)}. {'; '.join(parts)}."


def draw(comparison: Comparison, *, width: float = plot_style.WIDE, headed: bool = True) -> Figure:
    """Composes the figure: a row for each variant but the baseline.

    Args:
        comparison: What was found.
        width: Of the figure, in inches.
        headed: Whether the title and what may be said are written.
    """
    rows = _rows(comparison)
    lines = plot_style.wrapped(comparison.may_be_said) if headed else []
    top = 0.7 + plot_style.LINE * len(lines) if headed else 0.1
    height = top + ROW * len(rows) + 0.95
    figure = plot_style.blank(width=width, height=height)
    if headed:
        plot_style.heading(figure, title(comparison), lines)
    longest = max(len(each.name) for each in rows)
    left = min(0.35 + 0.085 * longest, 0.4 * width)
    sides = {"left": left / width, "right": 1 - 0.2 / width, "bottom": 0.85 / height, "top": 1 - top / height}
    axes = figure.add_axes(
        (sides["left"], sides["bottom"], sides["right"] - sides["left"], sides["top"] - sides["bottom"])
    )
    for place, each in enumerate(rows):
        _row(axes, comparison, each, place)
    axes.axvline(0, **DOTTED, zorder=1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [each.name for each in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    better = "right" if comparison.mode == "max" else "left"
    axes.set_xlabel(f"Difference in {_metric(comparison).lower()} ({better} is better)", labelpad=4)
    note = "Thick: 95 % interval of each alone. Thin: of all together. Filled: shown after Holm's correction."
    figure.text(0.03, 0.1 / height, note, size=plot_style.SMALL, color=GREY)
    return figure


def _row(axes: Axes, comparison: Comparison, standing: Standing, place: int) -> None:
    gap = standing.difference
    if gap is None:
        axes.text(0, place, " too few trainings finished", va="center", color=RED, size=plot_style.SMALL)
        return
    verdict = text.verdict(comparison, standing)
    color = COLORS.get(verdict, INK)
    axes.plot([gap.wide_low, gap.wide_high], [place, place], color=color, linewidth=1.0, zorder=2)
    axes.plot([gap.low, gap.high], [place, place], color=color, linewidth=3.2, zorder=3, alpha=0.75)
    shape: dict[str, Any] = {"marker": "s", "markersize": 7.5, "markeredgewidth": 1.5, "zorder": 4}
    axes.plot(
        [gap.mean], [place], color=color, markerfacecolor=color if verdict in COLORS else "white", **shape
    )


def _rows(comparison: Comparison) -> list[Standing]:
    """From the best difference to the worst; what was not compared is last."""
    others = [each for each in comparison.standings if each.name != comparison.baseline]
    sign = -1 if comparison.mode == "max" else 1
    return sorted(others, key=lambda each: sign * each.difference.mean if each.difference else math.inf)


def _metric(comparison: Comparison) -> str:
    return metric_name(comparison.metric).capitalize()
