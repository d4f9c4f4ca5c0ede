"""What a search found, as a table, as values for other programs, and as files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from l2zoo.reports.numbers import (
    decimals,
    format_difference,
    format_mean,
    format_strength,
    format_value,
    is_number,
    metric_title,
)
from l2zoo.reports.table import Cell, Column, Row, Table, cell, write_csv
from l2zoo.search.candidates import Candidate
from l2zoo.search.select import Selection
from l2zoo.utils.storage.files import write_json


def table(selection: Selection, *, chosen: float | None = None, every: bool = False) -> Table:
    """A row a candidate: mean and standard error, difference to 0 on the same folds, and a note in words.

    Args:
        selection: The answer of a search.
        chosen: The strength of the final model; the best by default.
        every: Whether what was tried with other hyperparameters or stopped early has rows too; then it also
            says what each candidate took.
    """
    shown = selection.every if every else selection.candidates
    chosen = selection.best.strength if chosen is None else chosen
    names = list(dict.fromkeys(name for c in shown for name, _ in c.others)) if every else []
    numeric = {n: all(is_number(v) for c in shown for name, v in c.others if name == n) for n in names}
    differences = {
        id(c): r["difference_to_0"] for c, r in zip(selection.candidates, rows(selection), strict=True)
    }
    digits = decimals((c.mean for c in shown), usual=4)
    score = metric_title(selection.metric) + (" ± SE" if any(c.n > 1 for c in shown) else "")

    def difference(candidate: Candidate) -> Cell:
        value = differences.get(id(candidate)) if candidate.strength else None
        return Cell(format_difference(value, digits=digits), value)

    columns: list[tuple[Column, Callable[[Candidate], Cell]]] = [
        (Column("Strength"), lambda c: Cell(format_strength(c.strength), c.strength)),
        (
            Column(score),
            lambda c: Cell(format_mean(c.mean, c.standard_error, digits=digits), _finite(c.mean)),
        ),
        (Column("To 0"), difference),
        *((Column(name, numeric[name]), partial(_value, name=name)) for name in names),
        (Column("Note", number=False), lambda c: cell(_note(selection, c, chosen=chosen))),
        (Column("Trained"), lambda c: cell(c.n or None)),
    ]
    if any(c.failed for c in shown):
        columns.append((Column("Failed"), lambda c: cell(len(c.failed) or None)))
    if every:
        columns += [(Column("Epochs"), lambda c: cell(c.epochs or None)), (Column("Seconds"), _seconds)]
    found = [Row(tuple(show(c) for _, show in columns), _kind(selection, c, chosen=chosen)) for c in shown]
    rising = not (every and (selection.rest or selection.stopped))
    return Table.of((column for column, _ in columns), found, rising=rising)


def rows(selection: Selection) -> list[dict[str, Any]]:
    """The strengths at the best other hyperparameters as plain values: None where there is no number."""
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
    verdict = {**asdict(selection.verdict), "left_out": list(selection.verdict.left_out)}
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


def write_files(selection: Selection, directory: Path) -> None:
    """Writes `result.csv`, a line a strength with its numbers in full, and `result.json`, as `to_dict`."""
    write_csv(directory / "result.csv", rows(selection))
    write_json(directory / "result.json", to_dict(selection), allow_nan=False)


def _value(candidate: Candidate, *, name: str) -> Cell:
    value = dict(candidate.others).get(name, "")
    return Cell(format_value(value), float(value) if is_number(value) else str(value))


def _seconds(candidate: Candidate) -> Cell:
    trainings = (*candidate.done, *candidate.failed)
    seconds = math.fsum(record.seconds for record in trainings if math.isfinite(record.seconds))
    return cell(seconds, "{:.0f}" if seconds >= 100 else "{:.1f}")


def _note(selection: Selection, candidate: Candidate, *, chosen: float) -> str:
    notes = []
    if candidate in selection.candidates:
        notes += ["best"] if candidate == selection.best else []
        notes += ["one SE"] if candidate == selection.one_se else []
        notes += ["final model"] if candidate.strength == chosen else []
    elif candidate in selection.stopped:
        ends = {r.unit.end for r in (*candidate.done, *candidate.failed)}
        notes.append(f"stopped after {max(end or 0 for end in ends)} epochs")
    notes += [f"{candidate.collapsed} collapsed and stopped"] if candidate.collapsed else []
    reasons = dict.fromkeys(record.reason for record in candidate.failed)
    return ", ".join([*notes, *(f"failed: {reason}" for reason in reasons)])


def _kind(selection: Selection, candidate: Candidate, *, chosen: float) -> str:
    if not candidate.n:
        return "failed"
    if candidate in selection.stopped:
        return "stopped"
    if candidate in selection.rest:
        return "other"
    return "chosen" if candidate.strength == chosen else "whole"


def _difference(candidate: Candidate, zero: Candidate | None) -> float | None:
    if zero is None:
        return None
    common = [u for u in candidate.scores if u in zero.scores]
    if not common:
        return None
    return math.fsum(candidate.scores[u] - zero.scores[u] for u in common) / len(common)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
