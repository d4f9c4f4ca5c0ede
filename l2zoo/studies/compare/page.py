"""The report of a comparison."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.reports.numbers import format_strength, metric_name
from l2zoo.reports.page import Page, Section, duration, picture, versions
from l2zoo.reports.tables import Row, Table, number, word
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
            ("Time", duration(comparison.seconds), "of this call"),
        ],
        pictures=[picture("forest", forest.title(comparison), forest.alt_text(comparison), draw)],
        sections=[Section("Every variant", _table(comparison), "A header sorts by its column.")],
        command=script_command() or "the same call of compare, with the settings below",
        settings=comparison.settings,
        versions=versions(),
    ).write(path)


def _table(comparison: Comparison) -> Table:
    columns = ("Score", "± SE", f"To {comparison.baseline}", "Low", "High", "p (Holm)", "Strength", "Trained")
    headers = (("Variant", False), *((name, True) for name in columns), ("", False))
    return Table(headers, tuple(_row(comparison, each) for each in comparison.standings))


def _row(comparison: Comparison, standing: Standing) -> Row:
    nothing = float("nan")
    gap, verdict = standing.difference, text.verdict(comparison, standing)
    numbers = [standing.mean, standing.standard_error]
    numbers += [nothing] * 3 if gap is None else [gap.mean, gap.low, gap.high]
    numbers += [nothing if standing.p_holm is None else standing.p_holm]
    forms = ("{:.4f}", "{:.4f}", "{:+.4f}", "{:+.4f}", "{:+.4f}", "{:.3f}")
    strength = nothing if standing.strength is None else standing.strength
    cells = (
        word(standing.name),
        *(number(value, form.format(value)) for value, form in zip(numbers, forms, strict=True)),
        number(strength, "" if standing.strength is None else format_strength(strength)),
        number(len(standing.scores), str(len(standing.scores))),
        word(verdict),
    )
    return Row(KINDS.get(verdict, "whole"), cells)
