"""What the ledger has is not trained, and what comes out is in it before anything else is asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from l2zoo.engine.ledger import Ledger, States
from l2zoo.engine.record import Record, Unit
from l2zoo.engine.run import Run
from tests.engine.known import Known

UNITS = [Unit(strength, fold, 0) for strength in (0.0, 0.1) for fold in range(3)]


def engine(**settings: Any) -> Known:
    return Known(SimpleNamespace(objective=None, epochs=9), **settings)


class Told:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def expect(self, count: int) -> None:
        self.heard.append(("expect", count))

    def skip(self, count: int, *, of: int) -> None:
        self.heard.append(("skip", count, of))

    def record(self, record: Record) -> None:
        self.heard.append(record.unit)


def ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.jsonl", settings={})


def test_all_that_is_missing_is_trained_once_and_shown(tmp_path: Path) -> None:
    trainer, told = engine(order=np.random.default_rng(0)), Told()
    run = Run(trainer, ledger(tmp_path), told)
    assert run.missing(UNITS) == UNITS
    assert {record.unit for record in run.train(UNITS)} == set(UNITS)
    assert told.heard == [("expect", 6), *(work.unit for work in trainer.done)]
    assert trainer.held == trainer.workers + 1  # no more than keeps the workers busy
    again = Run(trainer, ledger(tmp_path), told)
    assert again.missing(UNITS) == []
    assert [record.unit for record in again.train(UNITS)] == UNITS
    assert told.heard[7:] == [("expect", 6), ("skip", 6, 6)]
    assert len(trainer.done) == 6
    assert list(again.train([])) == []


@pytest.mark.parametrize("most", [0, 1, 4])
def test_stopped_anywhere_it_goes_on_with_the_rest(tmp_path: Path, most: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(Run(engine(most=most), ledger(tmp_path), Told()).train(UNITS))
    assert len(ledger(tmp_path).records) == most
    rest, told = engine(), Told()
    records = list(Run(rest, ledger(tmp_path), told).train(UNITS))
    assert len(records) == 6
    assert {work.unit for work in rest.done} == set(UNITS) - {r.unit for r in records[:most]}
    assert told.heard[:2] == [("expect", 6), *([("skip", most, 6)] if most else [rest.done[0].unit])]


def test_each_outcome_is_in_the_ledger_before_the_next_is_asked_for(tmp_path: Path) -> None:
    written = ledger(tmp_path)
    for count, record in enumerate(Run(engine(), written, Told()).train(UNITS), start=1):
        assert ledger(tmp_path).records == written.records
        assert written.records[-1] == record
        assert len(written.records) == count


def test_a_unit_goes_on_from_the_state_of_another_and_has_the_curves_of_both(tmp_path: Path) -> None:
    first, second = [[Unit(s, 0, 0, (), *span) for s in (0.1, 0.2)] for span in ((0, 3), (3, None))]
    trainer, states = engine(), States(tmp_path / "states")
    run = Run(trainer, ledger(tmp_path), Told(), states)
    list(run.train(first))
    states._path(first[1]).unlink()  # one that is lost costs a training from the first epoch
    records = {r.unit: r for r in run.train(second, after=dict(zip(second, first, strict=True)))}
    assert [work.state is not None for work in trainer.done if work.unit == second[0]] == [True]
    assert [work.state is not None for work in trainer.done if work.unit == second[1]] == [False]
    assert [records[unit].trained for unit in second] == [6, 9]
    assert [len(records[unit].curves["loss"]) for unit in second] == [9, 9]
    assert records[second[0]].curves == records[second[1]].curves
    assert ledger(tmp_path).get(second[0]) == records[second[0]]


def test_what_would_go_on_from_a_failure_failed_likewise_and_is_not_trained(tmp_path: Path) -> None:
    first, second = Unit(0.1, 0, 0, end=3), Unit(0.1, 0, 0, begin=3)
    trainer, told = engine(fail=lambda unit: unit == first), Told()
    run = Run(trainer, ledger(tmp_path), told, States(tmp_path / "states"))
    list(run.train([first]))
    (record,) = run.train([second], after={second: first})
    assert (record.unit, record.status, record.trained, record.seconds) == (second, "failed", 0, 0.0)
    assert record.reason == "it was told to"
    assert [work.unit for work in trainer.done] == [first]
    assert told.heard[-1] == second
    assert ledger(tmp_path).get(second) == record
