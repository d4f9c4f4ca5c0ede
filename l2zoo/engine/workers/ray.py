"""Trains in several processes, of this machine or of many, with Ray.

Every worker is one process with warm models of its own and one unit at a time, so a worker that dies costs
one unit, and that one is trained again.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import textwrap
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.engine.record import Record, State, Unit, Value
from l2zoo.engine.run import Work
from l2zoo.engine.workers import cluster

if TYPE_CHECKING:  # a worker imports this file, and should be able to say so before it imports Keras
    from l2zoo.engine.job import Job
    from l2zoo.engine.trainer import Trainer

PATIENCE = 3  # as many workers may die over one unit, or one after another before they are up
_POLL = 0.2  # seconds after which waiting for Ray pauses, so that Ctrl-C is heard


class OnRay:
    """Trains in workers that Ray runs, here or on the machines of a cluster.

    What comes out is what `InProcess` gives, up to rounding. The data travel once to every machine. Functions
    of the script that is running travel too; modules of your own must be importable where the workers are.

    Args:
        job: What to train.
        workers: How many processes; they share the processors, and the GPUs if there are any.
        address: Of a running Ray, as in `"10.0.0.1:6379"`. By default the one that this process is connected
            to, or that of the environment variable `RAY_ADDRESS`, or one is started: on this machine, out of
            reach of any other, until `close`.
        trainer: Makes of the job, in each worker, what does its work; by default a `Trainer`.

    Raises:
        ImportError: Ray is not installed.
        RuntimeError: Workers die as they start, or do not agree about what they train.
        ValueError: Ray has fewer processors than workers. What the job itself raises comes as it is.
    """

    def __init__(
        self,
        job: Job,
        *,
        workers: int,
        address: str | None = None,
        trainer: Callable[[Job], Trainer] | None = None,
    ):
        self._queue: deque[_Call] = deque()
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, _Call]] = {}
        self._answers: deque[tuple[Record, State | None]] = deque()
        self._actors: set[Any] = set()
        self._stillborn = 0
        self.workers = workers
        self.objective = ""
        self.identity: dict[str, Any] = {}
        held = contextlib.ExitStack()
        self._give_back = weakref.finalize(self, held.close)  # at the latest when Python ends
        try:
            options = cluster.connect(address, workers=workers, held=held)
            held.callback(_kill, self._actors)
            import ray

            self._worker = ray.remote(_Worker).options(**options)
            self._start = ray.put(job), trainer or functools.partial(_trainer, settings=_settings())
            for _ in range(workers):
                self._hire()
            while not self.objective:
                self._step()
        except BaseException:
            self.close()
            raise

    def submit(self, work: Work) -> None:
        self._queue.append(_Call("run", (work.unit, work.state, work.keep), self._answers.append))

    def wait(self) -> tuple[Record, State | None]:
        calls = [*self._queue, *(call for _, call in self._running.values())]
        if not self._answers and all(call.method != "run" for call in calls):
            raise RuntimeError("Nothing was submitted to wait for.")
        while not self._answers:
            self._step()
        record, state = self._answers.popleft()
        return record, None if state is None else _own(state)

    def train_on_all(self, values: dict[str, Value], *, seed: int, epochs: int) -> State:
        states: list[State] = []
        self._queue.appendleft(_Call("train_on_all", (values, seed, epochs), states.append))
        while not states:
            self._step()
        return _own(states[0])

    def close(self) -> None:
        self._queue.clear()
        self._running.clear()
        self._answers.clear()
        self._idle.clear()
        self._give_back()

    def _hire(self) -> None:
        actor = self._worker.remote(list(sys.path))
        self._actors.add(actor)
        self._hand(actor, _Call("start", self._start, self._meet))

    def _hand(self, actor: Any, call: _Call) -> None:
        self._running[getattr(actor, call.method).remote(*call.arguments)] = actor, call

    def _step(self) -> None:
        """Hands calls to idle workers, and takes in what has come back."""
        import ray

        while self._queue and self._idle:
            self._hand(self._idle.pop(), self._queue.popleft())
        for reference in ray.wait(list(self._running), timeout=_POLL)[0]:
            actor, call = self._running.pop(reference)
            try:
                answer = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error  # Ray's own tells where in the worker
            except _deaths() as error:
                self._bury(actor, call, error)
            else:
                self._idle.append(actor)
                call.take(answer)

    def _meet(self, answer: tuple[str, dict[str, Any]]) -> None:
        """A worker is up and says what it trains, on which all must agree."""
        self._stillborn = 0
        objective, identity = answer
        if self.objective and identity != self.identity:
            differing = [name for name in identity if identity[name] != self.identity.get(name)]
            raise RuntimeError(
                f"The workers do not train the same: they differ in {differing}. Are the versions of Keras "
                "and of your own modules the same on all machines, and does `build` always return the same?"
            )
        self.objective, self.identity = objective, identity

    def _bury(self, actor: Any, call: _Call, error: Exception) -> None:
        """A worker has died: another takes its place, and its call is made again or given up."""
        _kill({actor})
        self._actors.discard(actor)
        call.deaths += 1
        reason = _reason(error)
        died = f"worker died {call.deaths} times, last because {reason}"
        if call.method == "start":
            self._stillborn += 1
        elif call.deaths < PATIENCE:
            self._queue.appendleft(call)
        elif call.method == "run":
            call.take((Record(call.arguments[0], status="failed", reason=f"its {died}"), None))
        else:
            raise RuntimeError(f"The final training failed: its {died}.") from error
        if self._stillborn < PATIENCE:
            self._hire()
        elif not self._actors:
            raise RuntimeError(
                f"{self._stillborn} workers died one after another before they were up, "
                f"the last because {reason}."
            ) from error


@dataclass
class _Call:
    """What a worker is asked to do, what becomes of the answer, and how many workers have died of it."""

    method: str
    arguments: tuple[Any, ...]
    take: Callable[[Any], None]
    deaths: int = 0


class _Worker:
    """What runs in a process of its own; `start` is a call, because of errors in it Ray tells the type."""

    def __init__(self, path: list[str]):
        sys.path.extend(folder for folder in path if folder not in sys.path)

    def start(self, job: Job, trainer: Callable[[Job], Trainer]) -> tuple[str, dict[str, Any]]:
        self._trainer = trainer(job)
        return self._trainer.objective, self._trainer.identity()

    def run(self, unit: Unit, state: State | None, keep: bool) -> tuple[Record, State | None]:
        return self._trainer.run(unit, state=None if state is None else _own(state), keep=keep)

    def train_on_all(self, values: dict[str, Value], seed: int, epochs: int) -> State:
        return self._trainer.train_on_all(values, seed=seed, epochs=epochs)


def _settings() -> tuple[str, str, str]:
    """What a program can set in Keras and a new process does not know."""
    from keras import config

    return config.floatx(), config.image_data_format(), config.dtype_policy().name


def _trainer(job: Job, *, settings: tuple[str, str, str]) -> Trainer:
    from keras import config

    from l2zoo.engine.trainer import Trainer

    floatx, image_data_format, policy = settings
    config.set_floatx(floatx)
    config.set_image_data_format(image_data_format)
    config.set_dtype_policy(policy)
    return Trainer(job)


def _own(state: State) -> State:
    """Copies of arrays that Ray gives: its own are read-only and keep its shared memory from being used."""
    return [np.array(part) for part in state]


def _kill(actors: set[Any]) -> None:
    """Ends workers, those too that Ray only believes to be dead.

    The collector may call it at any time, also while Ray is being imported by somebody else.
    """
    ray: Any = sys.modules.get("ray")
    for actor in actors if getattr(ray, "is_initialized", bool)() else ():
        ray.kill(actor)


def _deaths() -> tuple[type[Exception], ...]:
    """What Ray raises when a worker is lost, or the answer it has given."""
    from ray import exceptions

    lost = (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.NodeDiedError)
    return (*lost, exceptions.ObjectLostError, exceptions.OutOfMemoryError)


def _reason(error: Exception) -> str:
    """The part of Ray's account of a death that tells why, in one line."""
    return textwrap.shorten(str(error).rpartition("Worker exit detail: ")[2], 300, placeholder=" ...")
