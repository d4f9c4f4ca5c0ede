"""What a search shows while it runs, on a terminal and elsewhere."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import pytest
from rich.console import Console

from l2zoo.engine.record import Record, Unit
from l2zoo.search.candidates import Candidate, gather
from l2zoo.search.progress import LiveTable, SearchProgress
from tests.search import pictured


def by_candidate(records: list[Record]) -> Iterator[tuple[list[Record], Candidate]]:
    for _, group in itertools.groupby(records, key=lambda r: (r.unit.strength, r.unit.others, r.unit.end)):
        trained = list(group)
        yield trained, gather(trained)[0]


def shown(records: list[Record], *, terminal: bool = False, of: int | None = None, mode: str = "max") -> str:
    """All that is written while these records come in."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, height=40, soft_wrap=True)
    with SearchProgress(metric="accuracy", mode=mode, stopped="", console=console) as progress:
        progress.expect(len(records))
        for number, (trained, candidate) in enumerate(by_candidate(records), start=1):
            for record in trained:
                progress.record(record)
            progress.finish(candidate, number=number, of=of)
    return file.getvalue()


def table(shown: LiveTable) -> list[list[str]]:
    """The rows of the table, word by word."""
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(shown.table())
    return [line.split() for line in console.export_text().splitlines()]


def scored(strength: float, *scores: float, **others) -> list[Record]:
    units = [Unit(strength, fold, 0, tuple(others.items())) for fold in range(len(scores))]
    return [Record(unit, score=score, epochs=20) for unit, score in zip(units, scores, strict=True)]


def test_elsewhere_than_on_a_terminal_a_candidate_is_a_line() -> None:
    records = [*scored(0.0, 0.5, 0.6), *scored(10**-4.5, 0.8, 0.9), *scored(0.1, 0.7, 0.7)]
    records += [pictured.failed(Unit(1.0, fold, 0)) for fold in range(2)]
    assert shown(records, of=4).splitlines() == [
        "[1/4] l2=0: accuracy 0.5500; best accuracy 0.5500 at 0",
        "[2/4] l2=3.16e-5: accuracy 0.8500; best accuracy 0.8500 at 3.16e-5",
        "[3/4] l2=0.1: accuracy 0.7000; best accuracy 0.8500 at 3.16e-5",
        "[4/4] l2=1: failed; best accuracy 0.8500 at 3.16e-5",
    ]


def test_less_can_be_better() -> None:
    lines = shown([*scored(0.0, 0.5), *scored(0.1, 0.7)], mode="min").splitlines()
    assert lines[1] == "[2] l2=0.1: accuracy 0.7000; best accuracy 0.5000 at 0"


def test_a_line_names_other_hyperparameters_and_how_far_a_stopped_one_came() -> None:
    early = [Record(Unit(0.1, 0, 0, (("units", 64),), end=4), score=0.9, epochs=4)]
    lines = shown([*early, *scored(0.1, 0.8, units=64, rate=1e-4)]).splitlines()
    assert lines == [
        "[1] l2=0.1, units=64, 4 epochs: accuracy 0.9000",
        "[2] l2=0.1, rate=1e-4, units=64: accuracy 0.8000; best accuracy 0.8000 at 0.1",
    ]


def test_brackets_in_a_value_are_no_markup() -> None:
    assert "l2=0.1, name=[bold]x[/bold]: accuracy" in shown(scored(0.1, 0.8, name="[bold]x[/bold]"))


def test_what_is_finished_already_is_said_and_not_counted() -> None:
    file = io.StringIO()
    progress = SearchProgress(metric="accuracy", mode="max", stopped="", console=Console(file=file))
    with progress:
        progress.expect(10)
        progress.skip(4, of=10)
        progress.expect(5)
    assert file.getvalue() == "4 of 10 trainings are finished already and are not run again.\n"
    assert progress.left == 11


@pytest.mark.parametrize("terminal", [True, False])
def test_stopping_says_what_to_do_next(terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, soft_wrap=True, width=100)
    stopped = SearchProgress(metric="accuracy", mode="max", stopped="Kept in [runs].", console=console)
    with pytest.raises(KeyboardInterrupt, match=r"^Stopped\. Kept in \[runs\]\.$"), stopped:
        raise KeyboardInterrupt


def test_nothing_is_shown_where_nothing_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    with SearchProgress(metric="accuracy", mode="max", stopped="", visible=False) as progress:
        progress.expect(1)
        (record,) = scored(0.1, 0.5)
        progress.record(record)
        progress.skip(1, of=2)
        progress.finish(gather([record])[0], number=1, of=1)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_the_bar_above_the_table() -> None:
    text = shown([*scored(0.0, 0.5, 0.6), *scored(0.01, 0.8, 0.9), *scored(0.1, 0.7)], terminal=True)
    last = text[text.rindex("lambda search") :]
    assert "5/5" in last
    assert last.index("lambda search") < last.index("accuracy ± se") < last.index("0.8500 ± 0.0500")
    assert "[1]" not in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is given back


def test_the_table_fills_while_trainings_come_in() -> None:
    live = LiveTable(metric="accuracy", mode="max")
    first = scored(0.0, 0.5, 0.6, 0.7)
    for record in first[:2]:
        live.add(record)
    header = ["l2", "accuracy", "±", "se", "folds", "failed"]
    assert table(live) == [header, ["0", "0.5500", "±", "0.0500", "2"]]
    live.add(first[2])
    live.finish(gather(first)[0])
    live.add(scored(0.1, 0.9)[0])
    assert table(live)[1:] == [
        ["★", "0", "0.6000", "±", "0.0577", "3/3"],
        ["0.1", "0.9000", "1/3"],  # may still turn out worse: the star is for those that are through
    ]


def test_a_failure_is_counted() -> None:
    live = LiveTable(metric="accuracy", mode="max")
    live.add(pictured.failed(Unit(0.1, 0, 0)))
    assert table(live)[1] == ["0.1", "-", "1", "1"]


def test_a_long_table_keeps_the_best_and_the_latest() -> None:
    live = LiveTable(metric="accuracy", mode="max")
    for index in range(40):
        records = scored(index / 100, 0.9 if index == 3 else 0.5)
        live.add(records[0])
        live.finish(gather(records)[0])
    strengths = [row[0] if row[0] != "★" else f"★ {row[1]}" for row in table(live)[1:]]
    assert strengths == ["★ 0.03", *(f"{index / 100:g}" for index in range(26, 40))]


def test_a_training_that_goes_on_takes_the_place_of_what_it_goes_on_from() -> None:
    live = LiveTable(metric="accuracy", mode="max")
    live.add(Record(Unit(0.1, 0, 0, end=4), score=0.5, epochs=4))
    live.add(Record(Unit(0.2, 0, 0, end=4), score=0.4, epochs=4))
    live.add(Record(Unit(0.1, 0, 0, begin=4), score=0.7, epochs=20))
    rows = table(live)
    assert rows[0] == ["l2", "accuracy", "±", "se", "epochs", "folds", "failed"]
    assert rows[1:] == [["0.2", "0.4000", "4", "1"], ["0.1", "0.7000", "20", "1"]]


def test_what_an_earlier_run_trained_is_in_the_table_too() -> None:
    live = LiveTable(metric="accuracy", mode="max")
    live.finish(gather(scored(0.1, 0.5, 0.6))[0])
    assert table(live)[1] == ["★", "0.1", "0.5500", "±", "0.0500", "2/2"]
