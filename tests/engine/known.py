"""An engine that trains nothing and knows every score, for tests of what is trained and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from l2zoo.engine.record import Record, State, Unit
from l2zoo.engine.run import Work


class Known:
    """The state of a unit is the number of epochs behind it.

    Args:
        job: What is said to be trained.
        score: Of a unit.
        order: Draws which unit is finished next; None for the first that was handed over.
        fail: Whether a unit fails.
        most: After so many units somebody stops it.
    """

    workers = 3

    def __init__(
        self,
        job: Any,
        *,
        score: Callable[[Unit], float] = lambda unit: 0.5,
        order: np.random.Generator | None = None,
        fail: Callable[[Unit], bool] = lambda unit: False,
        most: int = 10**9,
    ):
        self.objective = job.objective or "val_accuracy"
        self.identity = {"epochs": job.epochs}
        self.queue: list[Work] = []
        self.done: list[Work] = []
        self.held = 0  # units at the same time, at most
        self._job, self._score, self._order, self._fail, self._most = job, score, order, fail, most

    def submit(self, work: Work) -> None:
        self.queue.append(work)
        self.held = max(self.held, len(self.queue))

    def wait(self) -> tuple[Record, State | None]:
        if len(self.done) == self._most:
            raise KeyboardInterrupt
        work = self.queue.pop(0 if self._order is None else int(self._order.integers(len(self.queue))))
        self.done.append(work)
        begin, end = int(work.state[0]) if work.state else 0, work.unit.end or self._job.epochs
        spent: dict[str, Any] = {"epochs": end, "trained": end - begin, "seconds": 2.0}
        if self._fail(work.unit):
            return Record(work.unit, status="failed", reason="it was told to", **spent), None
        score = self._score(work.unit)
        curves = {
            "loss": [float(epoch) for epoch in range(begin, end)],
            self.objective: [score] * (end - begin),
        }
        record = Record(work.unit, score=score, curves=curves, **spent)
        return record, [np.array(end)] if work.keep else None

    def train_on_all(self, values: Any, *, seed: int, epochs: int) -> State:
        """The weights with which a training would begin."""
        from l2zoo.engine.warm_model import copy_values

        model = self._job.model(values, seed=seed)
        model.optimizer.build(model.trainable_variables)
        state = [v for v in model.optimizer.variables if v.name != "learning_rate"]
        return copy_values([*model.variables, *state])

    def close(self) -> None:
        pass
