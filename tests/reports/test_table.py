"""A table on a terminal, as Markdown and as CSV: the same rows, names as they are, numbers in full."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from l2zoo.reports.table import Cell, Column, Row, Table, cell, write_csv

TABLE = Table.of(
    ["name", Column("score"), Column("[size]")],
    [
        Row((cell("[bold]cat"), Cell("0.333 ± 0.100", 1 / 3), cell(1234, "{:,}")), "chosen"),
        ["dog", cell(math.nan, "{:.3f}"), None],
    ],
    title="Pets [2]",
)


def printed(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(TABLE)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_brackets_are_no_markup_and_what_is_not_a_number_is_empty() -> None:
    assert printed(60) == [
        "Pets [2]",
        "name               score  [size]",
        "[bold]cat  0.333 ± 0.100   1,234",
        "dog",
    ]
    assert str(TABLE).splitlines() == printed(60)


def test_on_a_narrow_terminal_columns_move_together_before_they_break() -> None:
    assert printed(30)[1:3] == ["name              score [size]", "[bold]cat 0.333 ± 0.100  1,234"]


def test_the_row_that_is_chosen_is_bold() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system="standard")
    console.print(TABLE)
    bold = [line for line in console.file.getvalue().splitlines() if "\x1b[1m" in line]
    assert len(bold) == 2  # the header and this
    assert "cat" in bold[1]


def test_markdown_aligns_numbers() -> None:
    assert TABLE.markdown().splitlines()[:3] == [
        "| name | score | [size] |",
        "|---|--:|--:|",
        "| [bold]cat | 0.333 ± 0.100 | 1,234 |",
    ]


def test_csv_holds_the_values(tmp_path: Path) -> None:
    given = [
        {"name": "[bold]cat", "score": 1 / 3, "[size]": 1234},
        {"name": "dog", "score": None, "[size]": None},
    ]
    with write_csv(tmp_path / "new" / "pets.csv", given).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["score"]) == 1 / 3
    assert rows[0]["[size]"] == "1234"
    assert rows[1] == {"name": "dog", "score": "", "[size]": ""}


@pytest.mark.parametrize(("value", "key"), [(0.1 + 0.2, "0.30000000000000004"), (3, "3"), (None, "")])
def test_a_page_sorts_by_the_whole_value(value: float | None, key: str) -> None:
    assert Cell("0.3", value).key == key
