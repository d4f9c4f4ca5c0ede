"""The report of a comparison."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.reports.numbers import format_duration, format_strength, metric_name
from l2zoo.reports.page import Page, Section, picture, versions
from l2zoo.reports.table import Cell, Column, Row, Table, cell
from l2zoo.studies.compare import forest, text
from l2zoo.utils.scripts import script_command

if TYPE_CHECKING:
    from l2zoo.studies.compare.result import Comparison, Standing

KINDS = {"baseline": "chosen", "not compared": "failed"}


def write_page(comparison: Comparison, path: str | Path) -> Path:
    """Writes the report as one HTML file."""
    metric = metric_name(comparison.metric)
    how = f"{comparison.folds} folds" if comparison.folds else "the test set"
    trainings = sum(len(each.scores) + each.failed for each in comparison.standings)
    failed = sum(each.failed for each in comparison.standings)
    draw = functools.partial(forest.draw, comparison)
    return Page(
        kicker=f"{len(comparison.standings)} variants by {metric}, {comparison.seeds} seeds, {how}",
        heading=f"What differs from {comparison.baseline}?",
        answer=comparison.may_be_said,
        notices=[("What this does not say", comparison.may_not_be_said)],
        facts=[
            ("Variants", str(len(comparison.standings)), f"compared with {comparison.baseline}"),
            ("Seeds", str(comparison.seeds), "the same for all"),
            ("Trainings", f"{trainings:,}", f"{failed:,} failed" if failed else "none failed"),
            ("Time", format_duration(comparison.seconds), "of this call"),
        ],
        pictures=[picture("forest", forest.title(comparison), forest.alt_text(comparison), draw)],
        sections=[Section("Every variant", _table(comparison), "A header sorts by its column.")],
        command=script_command() or "the same call of compare, with the settings below",
        settings=comparison.settings,
        versions=versions(),
    ).write(path)


def _table(comparison: Comparison) -> Table:
    names = ("Score", "± SE", f"To {comparison.baseline}", "Low", "High", "p (Holm)", "Strength", "Trained")
    columns = (Column("Variant", number=False), *map(Column, names), Column("", number=False))
    return Table(columns, tuple(_row(comparison, each) for each in comparison.standings))


def _row(comparison: Comparison, standing: Standing) -> Row:
    gap, verdict = standing.difference, text.verdict(comparison, standing)
    strength = standing.strength
    interval = (None, None, None) if gap is None else (gap.mean, gap.low, gap.high)
    cells = (
        cell(standing.name),
        cell(standing.mean, "{:.4f}"),
        cell(standing.standard_error, "{:.4f}"),
        *(cell(value, "{:+.4f}") for value in interval),
        cell(standing.p_holm, "{:.3f}"),
        Cell("" if strength is None else format_strength(strength), strength),
        cell(len(standing.scores)),
        cell(verdict),
    )
    return Row(cells, KINDS.get(verdict, "whole"))
