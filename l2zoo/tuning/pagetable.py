"""The table of candidates in the report: what a cell shows, and by what it is sorted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from l2zoo.tuning.averages import every
from l2zoo.tuning.candidates import Candidate, spelled
from l2zoo.tuning.curve import name
from l2zoo.tuning.pairing import is_number, written
from l2zoo.tuning.report import rows
from l2zoo.tuning.select import Selection


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What it shows.
        key: What it is sorted by: a number or a word; nothing goes to the end.
        number: Whether it is set at the right.
    """

    text: str
    key: str = ""
    number: bool = True


@dataclass(frozen=True)
class Row:
    """One candidate; `kind` is `"chosen"`, `"whole"`, `"other"`, `"stopped"` or `"failed"`."""

    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Headers, each with whether its column holds numbers, and rows."""

    headers: tuple[tuple[str, bool], ...]
    rows: tuple[Row, ...]


def of(selection: Selection, *, chosen: float) -> Table:
    """Every candidate, whatever became of it, with a note in words.

    Args:
        selection: The answer of a search.
        chosen: The strength of the final model.
    """
    others = list(dict.fromkeys(key for c in every(selection) for key, _ in c.others))
    differences = {
        c: row["difference_to_0"] for c, row in zip(selection.candidates, rows(selection), strict=True)
    }
    headers = ["Strength", *others, name(selection), "± SE", "To 0", "Epochs", "Trained", "Failed", "Seconds"]
    words = [key for key in others if not _numeric(selection, key)]
    out = []
    for candidate in every(selection):
        values = dict(candidate.others)
        cells = (
            _number(candidate.strength, spelled(candidate.strength)),
            *(_value(values.get(key, ""), number=key not in words) for key in others),
            _number(candidate.mean, f"{candidate.mean:.4f}"),
            _number(candidate.standard_error, f"{candidate.standard_error:.4f}"),
            _difference(differences.get(candidate), candidate),
            _number(candidate.epochs or math.nan, str(candidate.epochs)),
            _number(candidate.n, str(candidate.n)),
            _number(len(candidate.failed) or math.nan, str(len(candidate.failed))),
            _seconds(candidate),
            Cell(
                _note(selection, candidate, chosen=chosen), _note(selection, candidate, chosen=chosen), False
            ),
        )
        out.append(Row(_kind(selection, candidate, chosen=chosen), cells))
    return Table(tuple((h, h not in words) for h in headers) + (("Note", False),), tuple(out))


def _note(selection: Selection, candidate: Candidate, *, chosen: float) -> str:
    notes = []
    if candidate in selection.candidates:
        notes += ["best"] if candidate == selection.best else []
        notes += ["one SE"] if candidate == selection.one_se else []
        notes += ["final model"] if candidate.strength == chosen else []
    elif candidate in selection.stopped:
        ends = {r.unit.end for r in (*candidate.done, *candidate.failed)}
        notes.append(f"stopped after {max(end or 0 for end in ends)} epochs")
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


def _numeric(selection: Selection, key: str) -> bool:
    return all(is_number(dict(c.others)[key]) for c in every(selection) if key in dict(c.others))


def _value(value: bool | int | float | str, *, number: bool) -> Cell:
    key = repr(float(value)) if is_number(value) else str(value)
    return Cell(written(value), key, number)


def _number(value: float, text: str) -> Cell:
    return Cell(text, repr(float(value))) if math.isfinite(value) else Cell("")


def _difference(value: float | None, candidate: Candidate) -> Cell:
    if value is None or not candidate.strength:
        return Cell("")
    return Cell(f"{round(value, 4) + 0.0:+.4f}", repr(value))


def _seconds(candidate: Candidate) -> Cell:
    seconds = math.fsum(r.seconds for r in (*candidate.done, *candidate.failed) if math.isfinite(r.seconds))
    return Cell(f"{seconds:.1f}", repr(seconds))
