"""Trains in this process, and decides what does: this process, or Ray for several workers."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable

from l2zoo.engine.job import Job
from l2zoo.engine.record import Record, State
from l2zoo.engine.run import Engine, Work
from l2zoo.engine.trainer import Trainer
from l2zoo.utils.validation import whole_number


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

    def wait(self) -> tuple[Record, State | None]:
        if not self._queue:
            raise RuntimeError("Nothing was submitted to wait for.")
        work = self._queue.popleft()
        return self._trainer.run(work.unit, state=work.state, keep=work.keep)

    def close(self) -> None:
        self._queue.clear()


def engine_for(
    engine: Callable[[Job], Engine] | None, *, workers: int, address: str | None
) -> Callable[[Job], Engine]:
    """What makes an engine: the given function, Ray for several workers or a cluster, or this process."""
    whole_number("workers", workers, at_least=1)
    if engine is not None:
        if workers > 1 or address is not None:
            raise ValueError("Give either `engine`, or `workers` and `address`.")
        return engine
    if workers == 1 and address is None:
        return InProcess
    from l2zoo.engine.workers.ray import OnRay

    return functools.partial(OnRay, workers=workers, address=address)
