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
from l2zoo.utils.storage.files import replacing

if TYPE_CHECKING:
    import rich.console
    import rich.table

Value = float | int | str | bool | None
_WORDS = 12  # characters that a column of words gets at least
STYLES = {"chosen": "bold"}  # of a terminal; a page has classes of the same names


@dataclass(frozen=True)
class Column:
    """A header; `number` sets the column at the right.

    A number is never broken. What is `optional` is left out where the terminal is too narrow for all.
    """

    name: str
    number: bool = True
    optional: bool = False


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
        from rich.text import Text

        room, wide = options.max_width, options.update(max_width=1000)

        def fits(shown: rich.table.Table) -> bool:
            return console.measure(shown, options=wide).maximum <= room

        every = list(range(len(self.columns)))
        whole = next(filter(fits, (self._rich(every, narrow=narrow) for narrow in (False, True))), None)
        if whole is not None:
            yield whole
            return
        left_out: list[int] = []
        for number in [i for i in reversed(every) if self.columns[i].optional]:
            left_out.insert(0, every.pop(every.index(number)))
            if fits(self._rich(every, narrow=True)):
                break
        for first, piece in enumerate(self._pieces(every, room)):
            yield from ([""] if first else [])
            yield self._rich(piece, narrow=True, title=not first)
        if left_out:
            names = ", ".join(self.columns[i].name for i in left_out)
            yield Text(f"For want of width without: {names}.", style="dim")

    def _pieces(self, columns: list[int], room: int) -> list[list[int]]:
        """Some columns as those of one table below the other, each of which has the first column."""
        pieces, piece = [], columns[:1]
        for number in columns[1:]:
            if len(piece) > 1 and self._least([*piece, number]) > room:
                pieces.append(piece)
                piece = columns[:1]
            piece = [*piece, number]
        return [*pieces, piece]

    def _least(self, columns: list[int]) -> int:
        """The width that columns need, if words break and numbers do not."""
        widths = []
        for i in columns:
            texts = [row.cells[i].text for row in self.rows]
            head = max(map(len, self.columns[i].name.split()), default=0)
            widths.append(max([head, *map(len, texts)]) if self.columns[i].number else max(head, _WORDS))
        return sum(widths) + len(widths) - 1

    def _rich(self, columns: Sequence[int], *, narrow: bool, title: bool = True) -> rich.table.Table:
        from rich.table import Table as RichTable
        from rich.text import Text

        # `Text`, because Rich would read a name with brackets as markup.
        looks: dict[str, Any] = {"box": None, "pad_edge": False, "header_style": "bold"}
        above = Text(printable(self.title, lines=True)) if self.title and title else None
        shown = RichTable(title=above, title_justify="left", collapse_padding=narrow, **looks)
        for column in (self.columns[i] for i in columns):
            name = printable(column.name)
            if column.number:
                head = Text(name.replace(" ", "\n") if narrow else name)
                shown.add_column(head, justify="right", no_wrap=True)
            else:
                shown.add_column(Text(name), justify="left", overflow="fold")
        for row in self.rows:
            if row.kind == "total":
                shown.add_section()
            shown.add_row(*(Text(printable(row.cells[i].text)) for i in columns), style=STYLES.get(row.kind))
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
