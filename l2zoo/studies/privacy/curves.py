"""The curves of an audit: true against false positives, both logarithmic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports import plot_style
from l2zoo.reports.plot_style import BAND, BLUE, DOTTED, GREY, INK, RED
from l2zoo.stats.intervals import FALSE_POSITIVES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from l2zoo.studies.privacy.result import PrivacyReport

_TITLE = "Which images was the model trained on?"
# Differ in line, not in colour alone.
LINES: dict[str, dict[str, Any]] = {
    "loss threshold": {"color": BLUE, "linestyle": "-"},
    "LiRA": {"color": RED, "linestyle": (0, (6, 2))},
    "LiRA offline": {"color": INK, "linestyle": (0, (4, 1.5, 1, 1.5))},
}


def plot(report: PrivacyReport, path: str | Path) -> Path:
    """Draws the curve of every attack, and the diagonal of one that guesses."""
    return plot_style.save(lambda: _draw(report), path=path, title=_TITLE, words=report.sentence)


def _draw(report: PrivacyReport) -> Figure:
    from matplotlib.ticker import PercentFormatter

    lines = plot_style.wrapped(report.sentence.replace(" %", "\N{NO-BREAK SPACE}%"))
    top = 0.65 + plot_style.LINE * len(lines)
    figure = plot_style.blank(width=plot_style.WIDE, height=top + 4.6)
    plot_style.heading(figure, _TITLE, lines)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.8 / width, 0.6 / height, 1 - 1.1 / width, 1 - (top + 0.7) / height))
    lowest = 0.5 / max(report.members, report.others)  # where a rate of 0 stands
    axes.plot([lowest, 1], [lowest, 1], **DOTTED, label="a coin")
    axes.axvline(FALSE_POSITIVES, color=GREY, linewidth=0.8)
    for attack in report.attacks:
        shown = {"label": f"{attack.name}, AUC {attack.auc}", "linewidth": 1.8, "drawstyle": "steps-post"}
        fpr, tpr = (np.maximum(rate, lowest) for rate in (attack.roc.fpr, attack.roc.tpr))
        axes.plot(fpr, tpr, **{**LINES[attack.name], **shown})
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.1))
    axes.set(xlabel="Others taken for members (false positives)", ylabel="Members found (true positives)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=BAND, linewidth=0.8)
    axes.legend(frameon=False, fontsize=plot_style.SMALL, loc="lower right")
    return figure
