"""What a search found, as a table for the terminal and as files for other programs."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.reports.numbers import format_strength
from l2zoo.search.candidates import Candidate
from l2zoo.search.select import Selection
from l2zoo.utils.files import replacing

if TYPE_CHECKING:
    from rich.table import Table


def table(selection: Selection) -> Table:
    """A row per strength: mean and standard error, difference to 0 on the same folds, and what is chosen.

    Args:
        selection: The answer of a search.

    Returns:
        A Rich table. It says with words, not with colours alone, which strength is which.
    """
    from rich.table import Table

    several = {c.n for c in selection.candidates} != {1}
    out = Table(box=None, pad_edge=False, header_style="bold")
    out.add_column("strength", justify="right")
    out.add_column(f"{selection.metric} ± se" if several else selection.metric, justify="right")
    out.add_column("to 0", justify="right")
    out.add_column("trained", justify="right")
    out.add_column("failed", justify="right")
    out.add_column("")
    for row, candidate in zip(rows(selection), selection.candidates, strict=True):
        marks = [name for name, on in (("best", row["best"]), ("one SE", row["one_se"])) if on]
        collapsed = f"{candidate.collapsed} collapsed" if candidate.collapsed else ""
        spread = f" ± {candidate.standard_error:.3f}" if candidate.n > 1 else ""
        difference = row["difference_to_0"]
        out.add_row(
            format_strength(candidate.strength),
            f"{candidate.mean:.3f}{spread}" if candidate.n else "-",
            "" if difference is None or not candidate.strength else f"{round(difference, 3) + 0.0:+.3f}",
            str(candidate.n),
            str(len(candidate.failed)) if candidate.failed else "",
            " = ".join(marks) or collapsed,
            style="bold" if marks else None,
        )
    return out


def rows(selection: Selection) -> list[dict[str, Any]]:
    """The table as plain values: None where there is no number."""
    zero = next((c for c in selection.candidates if c.strength == 0), None)
    return [
        {
            "strength": c.strength,
            "mean": _finite(c.mean),
            "standard_error": _finite(c.standard_error),
            "n": c.n,
            "failed": len(c.failed),
            "collapsed": c.collapsed,
            "difference_to_0": _difference(c, zero),
            "best": c.strength == selection.best.strength,
            "one_se": c.strength == selection.one_se.strength,
        }
        for c in selection.candidates
    ]


def to_dict(selection: Selection) -> dict[str, Any]:
    """The whole answer as JSON values, down to the score of every training."""
    trainings = [
        [{"seed": s, "fold": f, "score": x} for (s, f), x in c.scores.items()]
        + [{"seed": r.unit.seed, "fold": r.unit.fold, "failed": r.reason} for r in c.failed]
        for c in selection.candidates
    ]
    verdict = asdict(selection.verdict)
    return {
        "metric": selection.metric,
        "mode": selection.mode,
        "best": selection.best.strength,
        "one_se": selection.one_se.strength,
        "verdict": {k: _finite(v) if isinstance(v, float) else v for k, v in verdict.items()},
        "edge": selection.edge,
        "candidates": [
            {**row, "trainings": each} for row, each in zip(rows(selection), trainings, strict=True)
        ],
    }


def write_csv(selection: Selection, *, path: str | Path) -> Path:
    """Writes the table as CSV: one line per strength, numbers in full, empty where there is none."""
    table_rows = rows(selection)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(table_rows[0]))
        writer.writeheader()
        writer.writerows(table_rows)
    return Path(path)


def write_json(selection: Selection, *, path: str | Path) -> Path:
    """Writes the whole answer as JSON, as `to_dict` gives it."""
    with replacing(path) as temporary:
        text = json.dumps(to_dict(selection), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _difference(candidate: Candidate, zero: Candidate | None) -> float | None:
    if zero is None:
        return None
    common = [u for u in candidate.scores if u in zero.scores]
    if not common:
        return None
    return math.fsum(candidate.scores[u] - zero.scores[u] for u in common) / len(common)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
