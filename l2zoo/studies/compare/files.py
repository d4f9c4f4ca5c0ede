"""A comparison as files for people and for other programs."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.studies.compare import text
from l2zoo.studies.compare.page import write_page
from l2zoo.utils.files import replacing

if TYPE_CHECKING:
    from l2zoo.studies.compare.result import Comparison

CSV, JSON, PICTURE, REPORT = "comparison.csv", "comparison.json", "comparison.png", "report.html"


def written(comparison: Comparison, directory: str | Path) -> Path:
    """Writes all files of a comparison into a folder, each whole or not at all."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_row(comparison, each.name) for each in comparison.standings]
    with replacing(folder / CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with replacing(folder / JSON) as temporary:
        temporary.write_text(json.dumps(_content(comparison, rows), indent=2) + "\n", encoding="utf-8")
    comparison.plot(folder / PICTURE)
    write_page(comparison, folder / REPORT)
    return folder


def _row(comparison: Comparison, name: str) -> dict[str, Any]:
    """The table's row as plain values, None where there is no number."""
    standing = comparison[name]
    gap = None if standing.difference is None else dataclasses.asdict(standing.difference)
    columns = ("mean", "low", "high", "wide_low", "wide_high", "p", "pairs")
    return {
        "variant": name,
        "mean": standing.mean if standing.scores else None,
        "standard_error": standing.standard_error if len(standing.scores) > 1 else None,
        "trained": len(standing.scores),
        "failed": standing.failed,
        "strength": standing.strength,
        **{f"difference_{column}": None if gap is None else gap[column] for column in columns},
        "p_holm": standing.p_holm,
        "verdict": text.verdict(comparison, standing),
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
