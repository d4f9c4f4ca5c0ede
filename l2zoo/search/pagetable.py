"""The table of candidates in the report: what a cell shows, and by what it is sorted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from l2zoo.reports.numbers import format_difference, format_strength
from l2zoo.reports.table import Cell, Column, Row, Table, cell
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.averages import every
from l2zoo.search.plots.curve import name
from l2zoo.search.plots.pairing import is_number, written
from l2zoo.search.report import rows
from l2zoo.search.select import Selection

_EFFORT = ("Epochs", "Trained", "Failed", "Seconds")


def of(selection: Selection, *, chosen: float) -> Table:
    """Every candidate, whatever became of it, with a note in words.

    Args:
        selection: The answer of a search.
        chosen: The strength of the final model.
    """
    names = list(dict.fromkeys(key for c in every(selection) for key, _ in c.others))
    kinds = {key: _numeric(selection, key) for key in names}
    effort = [h for h in _EFFORT if h != "Failed" or any(c.failed for c in every(selection))]
    columns = (
        *map(Column, ("Strength", name(selection), "± SE", "To 0")),
        *(Column(key, numeric) for key, numeric in kinds.items()),
        Column("Note", number=False),
        *map(Column, effort),
    )
    differences = {c.strength: row["difference_to_0"] for c, row in _with_rows(selection)}
    found = []
    for candidate in every(selection):
        mine = candidate in selection.candidates and candidate.strength
        note = _note(selection, candidate, chosen=chosen)
        cells = (
            Cell(format_strength(candidate.strength), candidate.strength),
            *_scores(candidate, difference=differences[candidate.strength] if mine else None),
            *_values(candidate, kinds),
            cell(note),
            *(spent for header, spent in _effort(candidate).items() if header in effort),
        )
        found.append(Row(cells, _kind(selection, candidate, chosen=chosen)))
    return Table(columns, tuple(found), rising=not (selection.rest or selection.stopped))


def _with_rows(selection: Selection) -> Iterable[tuple[Candidate, dict[str, Any]]]:
    return zip(selection.candidates, rows(selection), strict=True)


def _values(candidate: Candidate, kinds: dict[str, bool]) -> Iterator[Cell]:
    values = dict(candidate.others)
    for key in kinds:
        value = values.get(key, "")
        yield Cell(written(value), float(value) if is_number(value) else str(value))


def _scores(candidate: Candidate, *, difference: float | None) -> Iterator[Cell]:
    yield cell(candidate.mean, "{:.4f}")
    yield cell(candidate.standard_error, "{:.4f}")
    yield Cell(format_difference(difference, digits=4), difference)


def _effort(candidate: Candidate) -> dict[str, Cell]:
    trainings = (*candidate.done, *candidate.failed)
    seconds = math.fsum(record.seconds for record in trainings if math.isfinite(record.seconds))
    counts = (candidate.epochs, candidate.n, len(candidate.failed))
    cells = [
        *(cell(count or None) for count in counts),
        cell(seconds, "{:.0f}" if seconds >= 100 else "{:.1f}"),
    ]
    return dict(zip(_EFFORT, cells, strict=True))


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


def _numeric(selection: Selection, key: str) -> bool:
    return all(is_number(dict(c.others)[key]) for c in every(selection) if key in dict(c.others))
