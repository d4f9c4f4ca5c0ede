"""Results print as what they found."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import rich.console

from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Table


@dataclass(frozen=True, repr=False)
class Found(Printed):
    """A result with a thousand numbers."""

    numbers: tuple[int, ...]
    page: Path | None = None

    def _lines(self) -> list[str]:
        return [f"{len(self.numbers)} numbers [of whatever]."]

    def _tables(self) -> list[Table]:
        return [Table.of(["number"], [[number] for number in self.numbers[:2]])]

    def _page(self) -> Path | None:
        return self.page


FOUND = Found(tuple(range(1000)))


def test_print_and_prompt_show_the_lines_alone() -> None:
    assert str(FOUND) == repr(FOUND) == "1000 numbers [of whatever]."


def test_rich_shows_tables_too_and_reads_no_markup() -> None:
    console = rich.console.Console(record=True, width=80, file=io.StringIO())
    console.print(FOUND)
    assert console.export_text().split() == ["number", "0", "1", "1000", "numbers", "[of", "whatever]."]


def test_a_notebook_shows_all_and_leads_to_the_page(tmp_path: Path) -> None:
    assert "<a " not in FOUND._repr_html_()
    shown = Found((1,), tmp_path / "a & b.html")._repr_html_()
    assert "1 numbers [of whatever]." in shown
    assert f'<a href="{tmp_path.as_uri()}/a%20%26%20b.html">a &amp; b.html</a>' in shown
