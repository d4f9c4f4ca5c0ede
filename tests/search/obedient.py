"""A trainer without a model, for tests of where and how often units run; it must load quickly."""

from __future__ import annotations

import os
import signal

from l2zoo.engine.record import Record


class Obedient:
    """Its job is a function of the unit, and what that returns is the reason in the record."""

    objective = "val_accuracy"

    def __init__(self, job):
        if isinstance(job, Exception):
            raise job
        if job == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        self._do = job

    def identity(self):
        return {"objective": self.objective}

    def run(self, unit, *, state=None, keep=False):
        record = Record(unit, score=unit.strength, reason=str(self._do(unit)))
        return record, [2 * part for part in state] if keep else None

    def train_on_all(self, values, *, seed, epochs):
        return [1.0 * values["l2"] + seed + epochs]
