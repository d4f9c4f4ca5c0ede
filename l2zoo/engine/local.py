"""Where the trainings of a search run.

The driver of a search submits work and waits for outcomes; an engine decides where and in which order it is
done. What comes out of a unit depends on the unit alone, so the order makes no difference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from l2zoo.engine.job import Job
from l2zoo.engine.record import Record, Unit, Value
from l2zoo.engine.trainer import Trainer
from l2zoo.engine.warm_model import State


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


@dataclass(frozen=True)
class Outcome:
    """What came out of a unit: its record and, if wanted, its state at the end."""

    record: Record
    state: State | None = None


class Engine(Protocol):
    """Trains units; made from the `Job` of a search.

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

    def wait(self) -> Outcome:
        """The next unit that is finished, in any order; trains until there is one.

        Raises:
            RuntimeError: There is no work.
        """

    def train_on_all(self, values: dict[str, Value], *, seed: int, epochs: int) -> State:
        """Trains on all data and returns the weights and the optimizer's state."""

    def close(self) -> None:
        """Gives back what the engine holds; work that is not finished is dropped."""


def outcomes(engine: Engine, work: Iterable[Work]) -> Iterator[Outcome]:
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


class InProcess:
    """Trains in this process, one unit after another.

    Args:
        job: What to train.
    """

    workers = 1

    def __init__(self, job: Job):
        self._trainer = Trainer(job)
        self._queue: deque[Work] = deque()
        self.objective = self._trainer.objective
        self.identity = self._trainer.identity()
        self.train_on_all = self._trainer.train_on_all

    def submit(self, work: Work) -> None:
        self._queue.append(work)

    def wait(self) -> Outcome:
        if not self._queue:
            raise RuntimeError("Nothing was submitted to wait for.")
        work = self._queue.popleft()
        record, state = self._trainer.run(work.unit, state=work.state, keep=work.keep)
        return Outcome(record, state)

    def close(self) -> None:
        self._queue.clear()
