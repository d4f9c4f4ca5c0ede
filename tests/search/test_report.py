"""The table and the files of a search say what the records say."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from rich.console import Console

from l2zoo.engine.record import Record, Unit
from l2zoo.search.report import rows, table, to_dict, write_csv, write_json
from l2zoo.search.select import Selection, choose
from l2zoo.utils.files import replacing

SCORES = {
    0.0: [0.80, 0.82, 0.81],
    1e-4: [0.81, 0.83, 0.85],
    0.01: [0.90, 0.93, 0.93],
    0.1: [0.20, None, None],
}


@pytest.fixture
def selection() -> Selection:
    records = [
        Record(Unit(s, fold, 0), score=x)
        if x is not None
        else Record(Unit(s, fold, 0), status="failed", reason="the loss became NaN in epoch 2")
        for s, row in SCORES.items()
        for fold, x in enumerate(row)
    ]
    return choose(records, metric="val_accuracy")


def printed(selection: Selection) -> list[list[str]]:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(table(selection))
        return [line.split() for line in console.export_text().splitlines()]


def test_the_table_shows_every_strength_and_marks_the_choices(selection: Selection) -> None:
    # By hand: means 0.81, 0.83, 0.92; standard errors 0.01 / sqrt(3), 0.02 / sqrt(3), 0.03 / 3.
    assert printed(selection) == [
        ["strength", "val_accuracy", "±", "se", "to", "0", "trained", "failed"],
        ["0", "0.810", "±", "0.006", "3"],
        ["1e-4", "0.830", "±", "0.012", "+0.020", "3"],
        ["0.01", "0.920", "±", "0.010", "+0.110", "3", "best", "=", "one", "SE"],
        ["0.1", "0.200", "-0.600", "1", "2"],
    ]


def test_a_table_of_single_trainings_has_no_standard_errors() -> None:
    selection = choose([Record(Unit(0.0, 0, 0), score=0.5), Record(Unit(0.1, 0, 0), score=0.7)])
    assert printed(selection) == [
        ["strength", "score", "to", "0", "trained", "failed"],
        ["0", "0.500", "1"],
        ["0.1", "0.700", "+0.200", "1", "best", "=", "one", "SE"],
    ]


def test_the_csv_holds_numbers_in_full(selection: Selection, tmp_path: Path) -> None:
    path = write_csv(selection, path=tmp_path / "new" / "search.csv")
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["strength"]) for row in read] == [0.0, 1e-4, 0.01, 0.1]
    assert float(read[2]["mean"]) == pytest.approx(0.92, abs=1e-15)
    assert float(read[2]["standard_error"]) == pytest.approx(0.01)
    assert float(read[2]["difference_to_0"]) == pytest.approx(0.11)
    assert [row["best"] for row in read] == ["False", "False", "True", "False"]
    assert (read[3]["standard_error"], read[3]["n"], read[3]["failed"]) == ("", "1", "2")


def test_the_json_holds_the_whole_answer(selection: Selection, tmp_path: Path) -> None:
    path = write_json(selection, path=tmp_path / "search.json")
    read = json.loads(path.read_text(), parse_constant=lambda constant: pytest.fail(constant))
    assert read == to_dict(selection)
    assert (read["metric"], read["mode"], read["best"], read["one_se"]) == ("val_accuracy", "max", 0.01, 0.01)
    assert read["verdict"]["outcome"] == "helps"
    assert read["verdict"]["sentence"] == str(selection.verdict)
    assert read["candidates"][0]["trainings"][1] == {"seed": 0, "fold": 1, "score": 0.82}
    assert read["candidates"][3]["trainings"][2] == {
        "seed": 0,
        "fold": 2,
        "failed": "the loss became NaN in epoch 2",
    }


def test_a_verdict_without_numbers_is_json_too(tmp_path: Path) -> None:
    selection = choose([Record(Unit(0.1, fold, 0), score=0.5) for fold in range(3)])
    read = json.loads(write_json(selection, path=tmp_path / "search.json").read_text())
    assert read["verdict"]["low"] is None
    assert [row["difference_to_0"] for row in rows(selection)] == [None]
    assert printed(selection)[1] == ["0.1", "0.500", "±", "0.000", "3", "best", "=", "one", "SE"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
