"""`Comparison`: the answer of `compare`, as a table, sentences, a picture, files and a page."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

from l2zoo.reports.numbers import (
    format_difference,
    format_duration,
    format_mean,
    format_strength,
    metric_name,
    metric_title,
)
from l2zoo.reports.page import Page, Picture, Section, versions
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Cell, Column, Row, Table, cell, write_csv
from l2zoo.studies.compare import findings, forest
from l2zoo.studies.compare.findings import Findings, Standing
from l2zoo.utils.scripts import script_command
from l2zoo.utils.storage.files import write_json

CSV, JSON, PICTURE, REPORT = "comparison.csv", "comparison.json", "comparison.png", "report.html"
KINDS = {"baseline": "chosen", "not compared": "failed"}


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison(Printed, Findings):
    """What a comparison found. Rich prints all of it; `str()` gives the sentences.

    Attributes:
        standings: One for each variant, in the order in which they were given.
        baseline: Name of the variant with which the others were compared.
        metric: What the scores are.
        mode: `"max"` where more is better, `"min"` where less is.
        seeds: How many.
        folds: How many; 0 where the scores are those on a test set.
        settings: What the scores depend on, in plain values.
        seconds: How long this call took.
    """

    @cached_property
    def may_be_said(self) -> str:
        """What these trainings show, in sentences."""
        return findings.may_be_said(self)

    @cached_property
    def may_not_be_said(self) -> str:
        """What one might take from the table and these trainings do not show."""
        return findings.may_not_be_said(self)

    def table(self) -> Table:
        """A row for each variant: mean and standard error, difference to the baseline, corrected p."""
        return _table(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON, down to the score of every training."""
        return _content(self, [_values(self, each) for each in self.standings])

    def plot(self, path: str | Path) -> Path:
        """Draws a forest plot: the difference of every variant to the baseline, with its intervals.

        Args:
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

        Raises:
            ValueError: Another ending.
        """
        return forest.plot(self).save(path)

    def save(self, directory: str | Path) -> Path:
        """Writes `comparison.csv`, `comparison.json`, the picture and `report.html` into a folder."""
        folder = Path(directory)
        rows = [_values(self, each) for each in self.standings]
        write_csv(folder / CSV, rows)
        write_json(folder / JSON, self.to_dict())
        self.plot(folder / PICTURE)
        _page(self).write(folder / REPORT)
        return folder

    def _lines(self) -> list[str]:
        return [self.may_be_said, "", self.may_not_be_said]

    def _tables(self) -> list[Table]:
        return [self.table()]


def _table(comparison: Comparison) -> Table:
    chooses = any(each.strength is not None for each in comparison.standings)
    failed = any(each.failed for each in comparison.standings)
    score = f"{metric_title(comparison.metric)} ± SE"
    names = [score, f"To {comparison.baseline}", "95 % interval", "p (Holm)"]
    names += [*(["Strength"] if chooses else []), "Trained", *(["Failed"] if failed else [])]
    rows, digits = [], comparison.digits(4)
    for each in comparison.standings:
        gap, strength, verdict = each.difference, each.strength, comparison.verdict(each)
        mean, low, high = (None, None, None) if gap is None else (gap.mean, gap.low, gap.high)
        limits = f"{format_difference(low, digits=digits)} {format_difference(high, digits=digits)}".strip()
        cells = [
            cell(each.name),
            Cell(
                format_mean(each.mean, each.standard_error, digits=digits), each.mean if each.scores else None
            ),
            Cell(format_difference(mean, digits=digits), mean),
            Cell(limits, low),
            cell(each.p_holm, "{:.3f}"),
            *([Cell("" if strength is None else format_strength(strength), strength)] if chooses else []),
            cell(len(each.scores)),
            *([cell(each.failed or None)] if failed else []),
            cell(verdict),
        ]
        rows.append(Row(tuple(cells), KINDS.get(verdict, "whole")))
    return Table.of(["Variant", *map(Column, names), ""], rows)


def _values(comparison: Comparison, standing: Standing) -> dict[str, Any]:
    """The table's row as plain values, None where there is no number."""
    gap = None if standing.difference is None else dataclasses.asdict(standing.difference)
    columns = ("mean", "low", "high", "wide_low", "wide_high", "p", "pairs")
    return {
        "variant": standing.name,
        "mean": standing.mean if standing.scores else None,
        "standard_error": standing.standard_error if len(standing.scores) > 1 else None,
        "trained": len(standing.scores),
        "failed": standing.failed,
        "strength": standing.strength,
        **{f"difference_{column}": None if gap is None else gap[column] for column in columns},
        "p_holm": standing.p_holm,
        "verdict": comparison.verdict(standing),
    }


def _content(comparison: Comparison, rows: list[dict[str, Any]]) -> dict[str, Any]:
    trainings = [
        [{"seed": seed, "fold": fold, "score": score} for (seed, fold), score in each.scores.items()]
        for each in comparison.standings
    ]
    return {
        "metric": comparison.metric,
        "mode": comparison.mode,
        "baseline": comparison.baseline,
        "seeds": comparison.seeds,
        "folds": comparison.folds,
        "may_be_said": comparison.may_be_said,
        "may_not_be_said": comparison.may_not_be_said,
        "variants": [{**row, "trainings": each} for row, each in zip(rows, trainings, strict=True)],
        "settings": dict(comparison.settings),
    }


def _page(comparison: Comparison) -> Page:
    standings, baseline = comparison.standings, comparison.baseline
    how = f"{comparison.folds} folds" if comparison.folds else "the test set"
    trainings = sum(len(each.scores) + each.failed for each in standings)
    failed = sum(each.failed for each in standings)
    metric = metric_name(comparison.metric)
    return Page(
        kicker=f"{len(standings)} variants by {metric}, {comparison.seeds} seeds, {how}",
        heading=f"What differs from {baseline}?",
        answer=comparison.may_be_said,
        notices=[("What this does not say", comparison.may_not_be_said)],
        facts=[
            ("Variants", str(len(standings)), f"compared with {baseline}"),
            ("Seeds", str(comparison.seeds), "the same for all"),
            ("Trainings", f"{trainings:,}", f"{failed:,} failed" if failed else "none failed"),
            ("Time", format_duration(comparison.seconds), "of this call"),
        ],
        pictures=[Picture.of_plot(forest.plot(comparison), name="forest")],
        sections=[Section("Every variant", comparison.table(), "A header sorts by its column.")],
        command=script_command() or "the same call of compare, with the settings below",
        settings=comparison.settings,
        versions=versions(),
    )
