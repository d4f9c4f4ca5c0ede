"""The pictures of an audit: its curves, and what the strength of L2 does against memory and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength
from l2zoo.reports.plot_style import BLUE, DOTTED, GREY, INK, RED, Plot
from l2zoo.stats.roc import FALSE_POSITIVES
from l2zoo.studies.privacy.findings import Findings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Differ in line, not in colour alone.
LINES: dict[str, dict[str, Any]] = {
    "loss threshold": {"color": BLUE, "linestyle": "-"},
    "LiRA": {"color": RED, "linestyle": (0, (6, 2))},
    "LiRA offline": {"color": INK, "linestyle": (0, (4, 1.5, 1, 1.5))},
}
SHOWN = ("loss threshold", "LiRA")  # where several strengths are compared


def roc_curves(findings: Findings) -> Plot:
    """The curve of every attack on logarithmic axes, and the diagonal of one that guesses."""
    title = "Which images was the model trained on?"
    return Plot(title, findings.sentence, partial(_draw_roc, findings, title=title))


def strengths(findings: Mapping[float, Findings]) -> Plot:
    """The AUC of each attack with its interval at each strength, and below it the accuracy it costs."""
    parts = [
        f"{format_strength(strength)}: "
        + ", ".join(f"AUC {one.auc} by {one.name}" for one in each.attacks if one.name in SHOWN)
        + f", test accuracy {each.test_accuracy:.3f}"
        for strength, each in findings.items()
    ]
    words = f"Membership inference at each strength of L2, with 95 % intervals. {'; '.join(parts)}."
    title = "What the model gives away, against the strength of L2"
    return Plot(title, words, partial(_draw_strengths, findings, title=title))


def _draw_roc(
    findings: Findings, *, title: str, width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    from matplotlib.ticker import PercentFormatter

    sentence = findings.sentence.replace(" %", "\N{NO-BREAK SPACE}%")
    figure = plot_style.frame(width=width, height=4.6, title=title if headed else "", sentences=[sentence])
    axes = figure.add_subplot()
    lowest = 0.5 / max(findings.members, findings.others)  # where a rate of 0 stands
    axes.plot([lowest, 1], [lowest, 1], **DOTTED, label="a coin")
    axes.axvline(FALSE_POSITIVES, color=GREY, linewidth=0.8)
    for attack in findings.attacks:
        shown = {"label": f"{attack.name}, AUC {attack.auc}", "linewidth": 1.8, "drawstyle": "steps-post"}
        fpr, tpr = (np.maximum(rate, lowest) for rate in (attack.roc.fpr, attack.roc.tpr))
        axes.plot(fpr, tpr, **{**LINES[attack.name], **shown})
    plot_style.plain_axes(axes, grid="both")
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.1))
    axes.set(xlabel="Others taken for members (false positives)", ylabel="Members found (true positives)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.legend(frameon=False, fontsize=plot_style.SMALL, loc="lower right")
    return figure


def _draw_strengths(
    findings: Mapping[float, Findings], *, title: str, width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    first = next(iter(findings.values()))
    sentence = (
        f"Can the {first.members} images of the training be told from {first.others} others? "
        "AUC with 95 % intervals; 0.5 is a coin."
    )
    figure = plot_style.frame(width=width, height=4.8, title=title if headed else "", sentences=[sentence])
    top, bottom = figure.subplots(2, 1, height_ratios=(1.5, 1))
    for axes, label in ((top, "AUC of the attack"), (bottom, "Accuracy")):
        plot_style.plain_axes(axes)
        linear = plot_style.strength_axis(axes, findings)
        axes.set_ylabel(label)
    top.tick_params(labelbottom=False)
    bottom.set_xlabel("Strength (L2, convention keras)", labelpad=6)
    _attacks(top, findings, linear=linear)
    _accuracies(bottom, findings)
    for axes in (top, bottom):
        axes.legend(frameon=False, fontsize=plot_style.SMALL)
    return figure


def _attacks(axes: Axes, findings: Mapping[float, Findings], *, linear: float) -> None:
    axes.axhline(0.5, **DOTTED)
    for shift, marker, name in ((-1, "o", SHOWN[0]), (1, "D", SHOWN[1])):
        found = {s: one.auc for s, each in findings.items() for one in each.attacks if one.name == name}
        if not found:
            continue
        values, lows, highs = (
            [getattr(auc, end) for auc in found.values()] for end in ("value", "low", "high")
        )
        where, value, low, high = plot_style.with_gap(list(found), values, lows, highs)
        where = np.where(where == 0, 0.2 * shift * linear, where * 1.06**shift)  # side by side
        style = {**LINES[name], "marker": marker, "markersize": 5, "capsize": 3}
        axes.errorbar(where, value, [value - low, high - value], label=name, **style)


def _accuracies(axes: Axes, findings: Mapping[float, Findings]) -> None:
    lines: tuple[tuple[str, Callable[[Findings], float], str, str], ...] = (
        ("on members", lambda each: each.train_accuracy, GREY, "s"),
        ("on others", lambda each: each.test_accuracy, INK, "o"),
    )
    for name, accuracy, colour, marker in lines:
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5, "label": name}
        axes.plot(*plot_style.with_gap(list(findings), [accuracy(f) for f in findings.values()]), **style)
