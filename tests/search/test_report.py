"""The table and the files of a search say what the records say."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from l2zoo.engine.record import Record, Unit
from l2zoo.search.report import rows, table, to_dict, write_files
from l2zoo.search.select import Selection, choose
from l2zoo.utils.storage.files import replacing
from tests.search import pictured

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
    return [line.split() for line in str(table(selection)).splitlines()]


def test_the_table_shows_every_strength_and_marks_the_choices(selection: Selection) -> None:
    # By hand: means 0.81, 0.83, 0.92; standard errors 0.01 / sqrt(3), 0.02 / sqrt(3), 0.03 / 3.
    note = ["failed:", "the", "loss", "became", "NaN", "in", "epoch", "2"]
    assert printed(selection) == [
        ["Strength", "Accuracy", "±", "SE", "To", "0", "Note", "Trained", "Failed"],
        ["0", "0.8100", "±", "0.0058", "3"],
        ["1e-4", "0.8300", "±", "0.0115", "+0.0200", "3"],
        ["0.01", "0.9200", "±", "0.0100", "+0.1100", "best,", "one", "SE,", "final", "model", "3"],
        ["0.1", "0.2000", "-0.6000", *note, "1", "2"],
    ]


def test_a_table_of_single_trainings_has_no_standard_errors() -> None:
    selection = choose([Record(Unit(0.0, 0, 0), score=0.5), Record(Unit(0.1, 0, 0), score=0.7)])
    assert printed(selection) == [
        ["Strength", "Score", "To", "0", "Note", "Trained"],
        ["0", "0.5000", "1"],
        ["0.1", "0.7000", "+0.2000", "best,", "one", "SE,", "final", "model", "1"],
    ]


def test_a_table_of_everything_says_what_it_took_and_what_was_stopped() -> None:
    selection = pictured.selection(pictured.hyperband())
    shown = table(selection, every=True)
    names = [column.name for column in shown.columns]
    assert names == [
        "Strength",
        "Accuracy ± SE",
        "To 0",
        "rate",
        "units",
        "Note",
        "Trained",
        "Epochs",
        "Seconds",
    ]
    assert len(shown.rows) == len(selection.every) > len(table(selection).rows)
    last = dict(zip(names, (cell.text for cell in shown.rows[-1].cells), strict=True))
    assert (last["Note"], last["Trained"], last["Epochs"]) == ("stopped after 4 epochs", "5", "4")
    assert last["Seconds"] == "30.0"  # 5 folds, 4 epochs, 1.5 seconds each


def test_the_csv_holds_numbers_in_full(selection: Selection, tmp_path: Path) -> None:
    write_files(selection, tmp_path / "new")
    with (tmp_path / "new" / "result.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["strength"]) for row in read] == [0.0, 1e-4, 0.01, 0.1]
    assert float(read[2]["mean"]) == pytest.approx(0.92, abs=1e-15)
    assert float(read[2]["standard_error"]) == pytest.approx(0.01)
    assert float(read[2]["difference_to_0"]) == pytest.approx(0.11)
    assert [row["best"] for row in read] == ["False", "False", "True", "False"]
    assert (read[3]["standard_error"], read[3]["n"], read[3]["failed"]) == ("", "1", "2")


def test_the_json_holds_the_whole_answer(selection: Selection, tmp_path: Path) -> None:
    write_files(selection, tmp_path)
    read = json.loads(
        (tmp_path / "result.json").read_text(), parse_constant=lambda constant: pytest.fail(constant)
    )
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
    write_files(selection, tmp_path)
    read = json.loads((tmp_path / "result.json").read_text())
    assert read["verdict"]["low"] is None
    assert [row["difference_to_0"] for row in rows(selection)] == [None]
    assert printed(selection)[1][:4] == ["0.1", "0.5000", "±", "0.0000"]


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
