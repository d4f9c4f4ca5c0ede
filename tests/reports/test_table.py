"""A table on a terminal, as Markdown and as CSV: the same rows, names as they are, numbers in full."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


WIDTH = 80


@st.composite
def tables(draw) -> Table:
    """Tables as they come: long names and numbers, few columns and many, some of which may be left out."""
    words = st.text("ab_/ ", min_size=1, max_size=40)
    numbers = st.floats(-1e12, 1e12, allow_nan=False)
    others = draw(st.lists(st.builds(Column, words, st.booleans(), st.booleans()), min_size=1, max_size=14))
    columns = [Column(draw(words), number=False), *others]
    forms = ["{:.4f}", "{:,.0f}", "{:.2g}"]
    rows = [
        [draw(numbers.map(draw(st.sampled_from(forms)).format)) if c.number else draw(words) for c in columns]
        for _ in range(draw(st.integers(1, 3)))
    ]
    return Table.of(columns, rows, title=draw(words))


def lines_of(table: object, width: int = WIDTH) -> list[str]:
    place = io.StringIO()
    Console(file=place, width=width, color_system=None).print(table)
    return [line.rstrip() for line in place.getvalue().splitlines()]


@settings(deadline=None, max_examples=60)
@given(tables())
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(table: Table) -> None:
    lines = lines_of(table)
    assert max(map(len, lines)) <= WIDTH
    shown = set(" ".join(lines).split())
    left_out = lines[-1].partition("For want of width without: ")[2] or " ".join(lines)
    for number, column in enumerate(table.columns):
        if column.number and not column.optional:
            assert shown >= {row.cells[number].text for row in table.rows}, column
        if column.optional and column.number and not shown >= {row.cells[number].text for row in table.rows}:
            assert all(part in left_out for part in column.name.split())


def test_what_may_be_left_out_is_left_out_from_the_end_and_said() -> None:
    columns = [Column("name", number=False), Column("shape", optional=True), Column("l1", optional=True)]
    table = Table.of([*columns, Column("lambda")], [["a" * 40, "3x3x512x512", "0.001", "1" * 20]])
    assert "without" not in "".join(lines_of(table))
    *_, said = lines_of(table, width=76)
    assert said == "For want of width without: l1."
    *_, row, said = lines_of(table, width=64)
    assert (row, said) == (f"{'a' * 40} {'1' * 20}", "For want of width without: shape, l1.")


def test_more_numbers_than_fit_go_on_below_beside_their_names() -> None:
    names = [f"metric {number}" for number in range(12)]
    table = Table.of(["name", *map(Column, names)], [["first", *["0.123456789"] * 12]])
    lines = lines_of(table)
    assert sum(line.startswith("first") for line in lines) == 3
    assert sum(line.count("0.123456789") for line in lines) == 12


@pytest.mark.slow
def test_the_audit_of_a_resnet_50_fits_a_terminal_with_all_its_names() -> None:
    from l2zoo import audit, build_resnet

    found = audit(build_resnet((64, 64, 3), num_classes=10, depth=50, l2=5e-5))
    lines = lines_of(found)
    assert max(map(len, lines)) <= WIDTH
    assert {row.path for row in found.rows} <= {line.split()[0] for line in lines if line}
    assert any(line.startswith("≈ ") for line in lines)  # what the sign means
