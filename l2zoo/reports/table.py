"""`Table`: a value that a terminal, a page, Markdown and CSV each show in their own way."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.utils.console import printable
from l2zoo.utils.files import replacing

if TYPE_CHECKING:
    import rich.console
    import rich.table

Value = float | int | str | bool | None
STYLES = {"chosen": "bold"}  # of a terminal; a page has classes of the same names


@dataclass(frozen=True)
class Column:
    """A header; `number` sets the column at the right."""

    name: str
    number: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell: what it shows, and the value behind it, by which it is sorted; `None` goes to the end."""

    text: str
    value: Value = None

    @property
    def key(self) -> str:
        """What a page sorts by."""
        if self.value is None:
            return ""
        return repr(self.value) if isinstance(self.value, float) else str(self.value)


def cell(value: Value | Cell, form: str = "") -> Cell:
    """A cell for a value: a word as it is, a number in a format; empty for None and for what is not finite.

    Example:
        >>> cell(0.98765, "{:.3f}").text, cell(1234, "{:,}").text, cell("cat").text, cell(float("nan")).text
        ('0.988', '1,234', 'cat', '')
    """
    if isinstance(value, Cell):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Cell("")
    return Cell(form.format(value) if form else str(value), value)


@dataclass(frozen=True)
class Row:
    """Cells, and a word for the looks.

    It is `"chosen"`, `"whole"`, `"other"`, `"stopped"`, `"failed"` or `"total"`.
    """

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Columns and rows. Rich prints it; `str()` gives what it prints, where every cell is `printable`.

    Args:
        columns: In their order.
        rows: As many cells each.
        title: Above it.
        rising: Whether the rows rise by the first column.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    rising: bool = False

    @classmethod
    def of(
        cls, columns: Iterable[Column | str], rows: Iterable[Row | Sequence[Any]], **options: Any
    ) -> Table:
        """A table of plain values.

        Args:
            columns: A name alone is a column of words.
            rows: Rows, or plain values for the cells of one.
            **options: `title` and `rising`.

        Example:
            >>> print(Table.of(["name", Column("size")], [["cat", 3]]).markdown())
            | name | size |
            |---|--:|
            | cat | 3 |
        """
        heads = tuple(c if isinstance(c, Column) else Column(c, number=False) for c in columns)
        body = tuple(r if isinstance(r, Row) else Row(tuple(map(cell, r))) for r in rows)
        return cls(heads, body, **options)

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [[column.name for column in self.columns], *([c.text for c in r.cells] for r in self.rows)]
        head, *body = (f"| {' | '.join(map(printable, line))} |" for line in lines)
        marks = "".join("--:|" if column.number else "---|" for column in self.columns)
        return "\n".join([head, f"|{marks}", *body])

    def __rich_console__(self, console: rich.console.Console, options: rich.console.ConsoleOptions) -> Any:
        shown = self._rich()
        if console.measure(shown, options=options.update(max_width=1000)).maximum > options.max_width:
            shown = self._rich(collapse_padding=True)
        yield shown

    def _rich(self, **options: Any) -> rich.table.Table:
        from rich.table import Table as RichTable
        from rich.text import Text

        # `Text`, because Rich would read a name with brackets as markup.
        looks: dict[str, Any] = {"box": None, "pad_edge": False, "header_style": "bold", **options}
        title = Text(printable(self.title, lines=True)) if self.title else None
        shown = RichTable(title=title, title_justify="left", **looks)
        for column in self.columns:
            shown.add_column(
                Text(printable(column.name)), justify="right" if column.number else "left", overflow="fold"
            )
        for row in self.rows:
            if row.kind == "total":
                shown.add_section()
            shown.add_row(*(Text(printable(c.text)) for c in row.cells), style=STYLES.get(row.kind))
        return shown

    def __str__(self) -> str:
        from rich.console import Console

        place = io.StringIO()
        Console(file=place, width=120, color_system=None).print(self)
        return "\n".join(line.rstrip() for line in place.getvalue().splitlines())


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] = ()) -> Path:
    """Writes rows of the same names as CSV, whole or not at all; numbers in full, empty where there is none.

    Args:
        path: Where to.
        rows: At least one if there are no `columns`.
        columns: Their names; by default those of the first row.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(columns or rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Path(path)
