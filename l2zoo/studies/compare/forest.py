"""The forest plot of a comparison: every variant's difference to the baseline, with its intervals."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import metric_name, metric_title
from l2zoo.reports.plot_style import BLUE, DOTTED, INK, RED, Plot
from l2zoo.studies.compare.findings import Findings, Standing, interval, may_be_said

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.42  # inches
COLORS = {"better": BLUE, "worse": RED}
ALONE: dict[str, Any] = {"linewidth": 3.2, "alpha": 0.75}
TOGETHER: dict[str, Any] = {"linewidth": 1.0}
MEAN: dict[str, Any] = {"marker": "s", "markersize": 7.5, "markeredgewidth": 1.5}


def plot(findings: Findings) -> Plot:
    """The forest plot of a comparison."""
    parts = []
    for each in _rows(findings):
        shown = "not compared" if each.difference is None else interval(each)
        parts.append(f"{each.name}: {shown}, {findings.verdict(each)}")
    return Plot(_title(findings), f"{_title(findings)}. {'; '.join(parts)}.", partial(draw, findings))


def draw(findings: Findings, *, width: float = plot_style.WIDE, headed: bool = True) -> Figure:
    """Composes the figure: a row for each variant but the baseline.

    Args:
        findings: What was found.
        width: Of the figure, in inches.
        headed: Whether the title and what may be said are written.
    """
    from matplotlib.lines import Line2D

    rows = _rows(findings)
    legend = [
        Line2D([], [], color=INK, **ALONE, label="95 % interval of each alone"),
        Line2D([], [], color=INK, **TOGETHER, label="of all together"),
        Line2D([], [], color=INK, linestyle="none", **MEAN, label="shown after Holm's correction"),
    ]
    figure = plot_style.frame(
        width=width,
        height=ROW * len(rows) + 0.75,
        title=_title(findings) if headed else "",
        sentences=[may_be_said(findings)],
        legend=legend,
    )
    axes = figure.add_subplot()
    for place, each in enumerate(rows):
        _row(axes, findings, each, place)
    axes.axvline(0, **DOTTED, zorder=1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [each.name for each in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    better = "right" if findings.mode == "max" else "left"
    axes.set_xlabel(f"Difference in {metric_name(findings.metric)} ({better} is better)", labelpad=4)
    return figure


def _row(axes: Axes, findings: Findings, standing: Standing, place: int) -> None:
    gap = standing.difference
    if gap is None:
        axes.text(0, place, " too few trainings finished", va="center", color=RED, size=plot_style.SMALL)
        return
    verdict = findings.verdict(standing)
    color = COLORS.get(verdict, INK)
    axes.plot([gap.wide_low, gap.wide_high], [place, place], color=color, **TOGETHER, zorder=2)
    axes.plot([gap.low, gap.high], [place, place], color=color, **ALONE, zorder=3)
    inside = color if verdict in COLORS else "white"
    axes.plot([gap.mean], [place], color=color, markerfacecolor=inside, **MEAN, zorder=4)


def _rows(findings: Findings) -> list[Standing]:
    """From the best difference to the worst; what was not compared is last."""
    sign = -1 if findings.mode == "max" else 1
    return sorted(
        findings.others, key=lambda each: sign * each.difference.mean if each.difference else math.inf
    )


def _title(findings: Findings) -> str:
    return f"{metric_title(findings.metric)} of each variant, less that of {findings.baseline}"
