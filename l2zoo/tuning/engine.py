"""Where the trainings of a search run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import keras

from l2zoo.tuning.record import Record, Unit
from l2zoo.tuning.trial import Job, WarmModel


class Engine(Protocol):
    """Runs units of work; made from the `Job` of a search.

    Attributes:
        objective: Name of the score.
    """

    objective: str

    def identity(self) -> dict[str, Any]:
        """What the scores depend on besides the data, as JSON values."""

    def run(self, units: Iterable[Unit]) -> Iterator[Record]:
        """Yields the record of each unit as it is finished, in any order."""

    def train_on_all(self, strength: float, seed: int) -> keras.Model:
        """Trains on all data and returns the model, with a plain number for its strength."""


class InProcess:
    """One warm model in this process, one unit after another.

    Args:
        job: What to train.
    """

    def __init__(self, job: Job):
        self._warm = WarmModel(job)
        self.objective = self._warm.objective
        self.identity = self._warm.identity
        self.train_on_all = self._warm.train_on_all

    def run(self, units: Iterable[Unit]) -> Iterator[Record]:
        """Yields the record of each unit, in their order."""
        return map(self._warm.run, units)
