"""Tables of a report: what a cell shows, and by what it is sorted."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
    """A row; `kind` is a word for its looks: `"chosen"`, `"whole"`, `"other"`, `"stopped"` or `"failed"`."""

    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Headers, each with whether its column holds numbers; rows, and whether the first column rises."""

    headers: tuple[tuple[str, bool], ...]
    rows: tuple[Row, ...]
    rising: bool = False


def number(value: float, text: str) -> Cell:
    """A cell for a number, empty if that is not finite."""
    return Cell(text, repr(float(value))) if math.isfinite(value) else Cell("")


def word(text: str) -> Cell:
    """A cell for a word."""
    return Cell(text, text, number=False)
