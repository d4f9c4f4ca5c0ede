"""What L2 does against memory, and what it costs: audits of one model at several strengths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength
from l2zoo.reports.plot_style import BAND, DOTTED, GREY, INK, break_between, log_strengths
from l2zoo.stats.intervals import Interval
from l2zoo.studies.privacy.curves import LINES
from l2zoo.studies.privacy.result import PrivacyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

_TITLE = "What the model gives away, against the strength of L2"
_SHOWN = ("loss threshold", "LiRA")


def table_of_strengths(reports: Mapping[float, PrivacyReport]) -> Table:
    """A row for each strength and attack, with 95 % intervals. Prints with Rich.

    `train` and `test` are accuracies on members and others; the last column is the share of the members that
    is found at 1 % false positives.

    Args:
        reports: Strength to its audit.

    Raises:
        ValueError: There are none.
    """
    from rich.table import Table

    _check(reports)
    out = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in ("l2", "train", "test", "attack", "AUC", "advantage", "% found at 1 %"):
        out.add_column(name, justify="left" if name == "attack" else "right")
    for strength, report in sorted(reports.items()):
        begins = format_strength(strength), f"{report.train_accuracy:.3f}", f"{report.test_accuracy:.3f}"
        for one in report.attacks:
            if one.name in _SHOWN:
                rate, low, high = (100 * share for share in (one.tpr.value, one.tpr.low, one.tpr.high))
                numbers = _short(one.auc), _short(one.advantage), f"{rate:.1f} [{low:.1f}, {high:.1f}]"
                out.add_row(*begins, one.name, *numbers)
                begins = "", "", ""
    return out


def plot_strengths(reports: Mapping[float, PrivacyReport], path: str | Path) -> Path:
    """Draws the AUC of each attack with its interval, and below it the accuracy that the strength costs.

    Args:
        reports: Strength to its audit.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Raises:
        ValueError: There are no audits, or the path ends in something else.
    """
    _check(reports)
    ordered = dict(sorted(reports.items()))
    return plot_style.save(lambda: _draw(ordered), path=path, title=_TITLE, words=_words(ordered))


def _words(reports: Mapping[float, PrivacyReport]) -> str:
    """The picture in words, for those who do not see it."""
    parts = [
        f"{format_strength(strength)}: "
        + ", ".join(f"AUC {one.auc} by {one.name}" for one in report.attacks if one.name in _SHOWN)
        + f", test accuracy {report.test_accuracy:.3f}"
        for strength, report in reports.items()
    ]
    return f"Membership inference at each strength of L2, with 95 % intervals. {'; '.join(parts)}."


def _draw(reports: Mapping[float, PrivacyReport]) -> Figure:
    first = next(iter(reports.values()))
    lines = plot_style.wrapped(
        f"Can the {first.members} images of the training be told from {first.others} others? "
        "AUC with 95 % intervals; 0.5 is a coin."
    )
    figure = plot_style.blank(width=plot_style.WIDE, height=5.4 + plot_style.LINE * len(lines))
    plot_style.heading(figure, _TITLE, lines)
    width, height = figure.get_size_inches()
    grid = figure.add_gridspec(
        2, 2, width_ratios=(0.53, width - 1.56), height_ratios=(1.5, 1), wspace=0.03, hspace=0.12,
        left=0.78 / width, right=1 - 0.25 / width, bottom=0.62 / height,
        top=1 - (0.7 + plot_style.LINE * len(lines)) / height,
    )  # fmt: skip
    for row, label in enumerate(("AUC of the attack", "Accuracy")):
        left = figure.add_subplot(grid[row, 0])
        right = figure.add_subplot(grid[row, 1], sharey=left)
        _furnish(left, right, [s for s in reports if s], last=row == 1)
        left.set_ylabel(label)
        (_attacks if row == 0 else _accuracies)(left, right, reports)
    return figure


def _furnish(left: Axes, right: Axes, strengths: list[float], *, last: bool) -> None:
    left.set_xlim(-1, 1)
    left.set_xticks([0], ["0"])
    right.tick_params(left=False, labelleft=False)
    break_between(left, right)
    if strengths:
        log_strengths(right, strengths)
    else:
        right.set_xticks([])
    for axes in (left, right):
        axes.grid(axis="y", color=BAND, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(labelbottom=last)
    if last:
        right.set_xlabel("Strength (L2, convention keras)", labelpad=6)


def _attacks(left: Axes, right: Axes, reports: Mapping[float, PrivacyReport]) -> None:
    for axes in (left, right):
        axes.axhline(0.5, **DOTTED)
    for shift, name in zip((-1, 1), _SHOWN, strict=True):
        found = {s: one for s, report in reports.items() for one in report.attacks if one.name == name}
        for axes, zero in ((left, True), (right, False)):
            some = {s: one.auc for s, one in found.items() if (s == 0) == zero}
            where = [0.2 * shift if zero else s * 1.06**shift for s in some]
            errors = [[a.value - a.low for a in some.values()], [a.high - a.value for a in some.values()]]
            style = {**LINES[name], "marker": "o" if shift < 0 else "D", "markersize": 5, "capsize": 3}
            axes.errorbar(where, [a.value for a in some.values()], errors, label=name, **style)
    right.legend(frameon=False, fontsize=plot_style.SMALL)


def _accuracies(left: Axes, right: Axes, reports: Mapping[float, PrivacyReport]) -> None:
    lines = (("on members", "train_accuracy", GREY, "s"), ("on others", "test_accuracy", INK, "o"))
    for name, field, colour, marker in lines:
        for axes, zero in ((left, True), (right, False)):
            some = {s: getattr(report, field) for s, report in reports.items() if (s == 0) == zero}
            where = [0.0 if zero else s for s in some]
            axes.plot(where, list(some.values()), color=colour, marker=marker, markersize=5, label=name)
    right.legend(frameon=False, fontsize=plot_style.SMALL)


def _short(measured: Interval) -> str:
    """With half of the interval, before it was cut off at 0 or 1."""
    half = max(measured.value - measured.low, measured.high - measured.value)
    return f"{measured.value:.3f} ± {half:.3f}"


def _check(reports: Mapping[float, PrivacyReport]) -> None:
    if not reports:
        raise ValueError("`reports` must hold at least one audit, by its strength; it is empty.")
