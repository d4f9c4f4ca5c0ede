"""Trains what the ledger lacks: the one way by which a search and a comparison come to their records.

Whoever trains submits work to an engine and waits for what comes out; the engine decides where and in which
order it is done. What comes out of a unit depends on the unit alone, so the order makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from l2zoo.engine.ledger import Ledger, States
from l2zoo.engine.record import Record, State, Unit, Value


@dataclass(frozen=True)
class Work:
    """A unit to train.

    Args:
        unit: Which.
        state: Weights and optimizer state of the unit that it continues; None starts afresh.
        keep: Whether the state at the end is wanted, because another unit may go on from there.
    """

    unit: Unit
    state: State | None = None
    keep: bool = False


class Engine(Protocol):
    """Trains units; made from a `Job`.

    Attributes:
        workers: How many units it trains at the same time.
        objective: Name of the score.
        identity: What the scores depend on besides the data, as JSON values.
    """

    workers: int
    objective: str
    identity: dict[str, Any]

    def submit(self, work: Work) -> None:
        """Takes a unit in; returns at once."""

    def wait(self) -> tuple[Record, State | None]:
        """What came out of the next unit, in any order, and its state if wanted; trains until there is one.

        Raises:
            RuntimeError: There is no work.
        """

    def train_on_all(self, values: dict[str, Value], *, seed: int, epochs: int) -> State:
        """Trains on all data and returns the weights and the optimizer's state."""

    def close(self) -> None:
        """Gives back what the engine holds; work in progress is dropped."""


class RunProgress(Protocol):
    """What is told while units are trained."""

    def expect(self, count: int) -> None:
        """So many more are known to come."""

    def skip(self, count: int, *, of: int) -> None:
        """So many of those that were expected are in the ledger already."""

    def record(self, record: Record) -> None:
        """One more is trained."""


class Run:
    """Trains units that the ledger does not have; each outcome is written down as soon as it is there.

    So a run that is stopped loses the units that were being trained and no other, and the same call goes on.

    Args:
        engine: Where.
        ledger: What is trained already.
        progress: What is shown.
        states: Weights of units that others may go on from; None where none does.
    """

    def __init__(self, engine: Engine, ledger: Ledger, progress: RunProgress, states: States | None = None):
        self._engine, self._ledger, self._progress, self._states = engine, ledger, progress, states

    def missing(self, units: Iterable[Unit]) -> list[Unit]:
        """The units that the ledger does not have."""
        return [unit for unit in units if self._ledger.get(unit) is None]

    def train(self, units: Sequence[Unit], *, after: Mapping[Unit, Unit] | None = None) -> Iterator[Record]:
        """Gives the record of every unit as soon as there is one, those in the ledger first.

        Args:
            units: In the order in which to train them.
            after: The unit that a unit goes on from, for those that do. It is in the ledger; where it failed,
                what would go on from it failed likewise, and is not trained.
        """
        if not units:
            return
        missing = self.missing(units)
        self._progress.expect(len(units))
        if len(missing) < len(units):
            self._progress.skip(len(units) - len(missing), of=len(units))
        before = {unit: self._recorded(after[unit]) for unit in missing if after and unit in after}
        for unit in units:
            record = self._ledger.get(unit)
            if record is None and unit in before and before[unit].status == "failed":
                record = self._write(replace(before[unit], unit=unit, trained=0, seconds=0.0))
            if record is not None:
                yield record
        yield from self._train(self.missing(missing), before)

    def _train(self, units: Sequence[Unit], before: Mapping[Unit, Record]) -> Iterator[Record]:
        continued = set()

        def work() -> Iterator[Work]:
            for unit in units:
                state = self._states.load(before[unit].unit) if self._states and unit in before else None
                if state is not None:
                    continued.add(unit)
                yield Work(unit, state, keep=unit.end is not None)

        for record, state in _outcomes(self._engine, work()):
            if record.unit in continued:
                record = _joined(before[record.unit], record)
            if state is not None and self._states is not None:
                self._states.save(record.unit, state)
            yield self._write(record)

    def _write(self, record: Record) -> Record:
        self._ledger.append(record)
        self._progress.record(record)
        return record

    def _recorded(self, unit: Unit) -> Record:
        record = self._ledger.get(unit)
        assert record is not None
        return record


def _outcomes(engine: Engine, work: Iterable[Work]) -> Iterator[tuple[Record, State | None]]:
    """What comes out of work, in any order; no more is handed over than keeps the workers busy."""
    pending = 0
    for one in work:
        engine.submit(one)
        pending += 1
        if pending > engine.workers:  # more at once would hold more states in memory
            yield engine.wait()
            pending -= 1
    for _ in range(pending):
        yield engine.wait()


def _joined(first: Record, second: Record) -> Record:
    """The second of two parts of a training, with the curves of both."""
    curves = {name: [*first.curves.get(name, ()), *more] for name, more in second.curves.items()}
    return replace(second, curves=curves)
