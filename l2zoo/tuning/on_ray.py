"""Runs the trainings of a search in several processes, of this machine or of many, with Ray.

Every worker is one process with warm models of its own and one unit at a time, so a worker that dies costs
one unit, and that one is trained again.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from l2zoo.tuning.engine import Outcome, Work
from l2zoo.tuning.job import Job
from l2zoo.tuning.record import Record, Value
from l2zoo.tuning.trial import Trainer
from l2zoo.tuning.warm import State

PATIENCE = 3  # as many workers may die over one unit, or one after another before they are up
_POLL = 0.2  # seconds after which waiting for Ray pauses, so that Ctrl-C is heard

# How TensorFlow, PyTorch and JAX are told the number of their threads, all before they load.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "PJRT_NPROC")
# What else in the environment changes what is computed, or what is written about it.
_PASSED_ON = ("TF_CPP_MIN_LOG_LEVEL", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS")
# Several workers on one GPU: nobody takes all of its memory in advance.
_SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class OnRay:
    """Trains in workers that Ray runs, here or on the machines of a cluster.

    What comes out is what `InProcess` gives. The data travel once to every machine. Functions of the script
    that is running travel with them; modules of your own must be importable where the workers are.

    Args:
        job: What to train.
        workers: How many processes; they share the processors, and the GPUs if there are any.
        address: Of a running Ray, as in `"10.0.0.1:6379"`. By default the one that this process is connected
            to, or that of the environment variable `RAY_ADDRESS`, or one is started: on this machine, out of
            reach of any other, until `close`.
        trainer: Makes of the job, in each worker, what does its work.

    Raises:
        ImportError: Ray is not installed.
        RuntimeError: Workers die as they start.
        ValueError: Ray has fewer processors than workers. What the job itself raises comes as it is.
    """

    def __init__(
        self,
        job: Job,
        *,
        workers: int,
        address: str | None = None,
        trainer: Callable[[Job], Trainer] = Trainer,
    ):
        ray = _ray()
        self._queue: deque[_Call] = deque()
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, _Call]] = {}
        self._outcomes: deque[Outcome] = deque()
        self._stillborn = 0
        self.objective = ""
        self.identity: dict[str, Any] = {}
        self._actors: set[Any] = set()
        held = contextlib.ExitStack()
        self._give_back = weakref.finalize(self, held.close)  # at the latest when Python ends
        try:
            options = _options(_connect(address, workers, held), workers)
            held.callback(_kill, self._actors)
            self._actor_class = ray.remote(_Worker).options(**options)
            self._job = ray.put(job)
            self._trainer = trainer
            for _ in range(workers):
                self._hire()
            while not self.objective:
                self._step()
        except BaseException:
            self.close()
            raise

    def submit(self, work: Work) -> None:
        self._queue.append(_Call("run", (work,), self._outcomes.append))

    def wait(self) -> Outcome:
        calls = [*self._queue, *(call for _, call in self._running.values())]
        if not self._outcomes and all(call.method != "run" for call in calls):
            raise RuntimeError("Nothing was submitted to wait for.")
        while not self._outcomes:
            self._step()
        outcome = self._outcomes.popleft()
        return Outcome(outcome.record, _own(outcome.state))

    def train_on_all(self, values: dict[str, Value], *, seed: int, epochs: int) -> State:
        states: list[State] = []
        self._queue.appendleft(_Call("train_on_all", (values, seed, epochs), states.append))
        while not states:
            self._step()
        return _own(states[0]) or []

    def close(self) -> None:
        for waiting in (self._queue, self._idle, self._running, self._outcomes):
            waiting.clear()  # type: ignore[attr-defined]
        self._give_back()

    def _hire(self) -> None:
        """Starts a worker; its trainer is made in a call of its own, whose errors come back whole."""
        formats = (keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name)
        actor = self._actor_class.remote(list(sys.path), formats)
        self._actors.add(actor)
        self._hand(actor, _Call("start", (self._job, self._trainer), self._meet))

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
                raise error.cause from error  # the other one has the traceback in the worker
            except ray.exceptions.RayError as error:
                self._bury(actor, call, error)
            else:
                self._idle.append(actor)
                call.take(answer)

    def _meet(self, answer: tuple[str, dict[str, Any]]) -> None:
        """A worker is up: takes over what it says about the job, which all must agree on."""
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
        """A worker has died: another takes its place, and what it was at is done again, or given up."""
        _kill({actor})
        self._actors.discard(actor)
        call.deaths += 1
        died = f"died {call.deaths} times, last because {_reason(error)}"
        if call.method == "start":
            self._stillborn += 1
        elif call.deaths < PATIENCE:
            self._queue.appendleft(call)
        elif call.method == "run":
            unit = call.arguments[0].unit
            call.take(Outcome(Record(unit, status="failed", reason=f"its worker {died}")))
        else:
            raise RuntimeError(f"The worker of the final training {died}.") from error
        if self._stillborn < PATIENCE:
            self._hire()
        elif not self._actors:
            raise RuntimeError(
                f"{self._stillborn} workers died one after another before they were up, the last because "
                f"{_reason(error)}."
            ) from error


@dataclass
class _Call:
    """What a worker is asked to do, what becomes of its answer, and how many workers have died of it."""

    method: str
    arguments: tuple[Any, ...]
    take: Callable[[Any], None]
    deaths: int = 0


class _Worker:
    """What runs in a process of its own."""

    def __init__(self, path: list[str], formats: tuple[str, str, str]):
        sys.path.extend(folder for folder in path if folder not in sys.path)
        keras.config.set_floatx(formats[0])
        keras.config.set_image_data_format(formats[1])
        keras.config.set_dtype_policy(formats[2])

    def start(self, job: Job, trainer: Callable[[Job], Trainer]) -> tuple[str, dict[str, Any]]:
        self._trainer = trainer(job)
        return self._trainer.objective, self._trainer.identity()

    def run(self, work: Work) -> Outcome:
        return Outcome(*self._trainer.run(work.unit, state=_own(work.state), keep=work.keep))

    def train_on_all(self, values: dict[str, Value], seed: int, epochs: int) -> State:
        return self._trainer.train_on_all(values, seed=seed, epochs=epochs)


def _own(state: State | None) -> State | None:
    """Copies of what Ray gives, which is read-only and keeps shared memory from being used again."""
    return None if state is None else [np.array(part) for part in state]


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            'More than one worker needs Ray, which is not installed: pip install "l2zoo[ray]". '
            "One, workers=1, needs nothing."
        ) from error
    return ray


def _connect(address: str | None, workers: int, held: contextlib.ExitStack) -> int:
    """Connects to Ray or starts it; returns how many processors the workers share."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    if not ray.is_initialized() and not address:
        _start(workers, held)
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not ray.is_initialized():
        held.callback(ray.shutdown)
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    processors = int(ray.cluster_resources().get("CPU", 0))
    if workers > processors:
        raise ValueError(
            f"`workers` must be at most the {processors} processors that Ray has, got {workers=}."
        )
    return processors


def _start(workers: int, held: contextlib.ExitStack) -> None:
    """Starts a Ray that only this machine can reach: Ray asks nobody for a password."""
    import ray
    from ray._private import ray_constants

    # Sockets lie in there, and the path of a socket must be short.
    folder = tempfile.mkdtemp(prefix="l2zoo-", dir="/tmp" if os.name == "posix" else None)
    held.callback(shutil.rmtree, folder, ignore_errors=True)
    held.callback(ray.shutdown)
    # On Linux Ray replaces 127.0.0.1 by the machine's own address and listens on all of them, unless it is told
    # that it need not reach other machines, which on macOS and Windows it takes for granted.
    reaches_others, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        ray.init(
            "local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            _system_config={"prestart_worker_first_driver": False},  # they would not have our environment
        )
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = reaches_others


def _options(processors: int, workers: int) -> dict[str, Any]:
    """What Ray gives each worker: a processor, a share of the GPUs, and its environment."""
    import ray

    gpus = ray.cluster_resources().get("GPU", 0)
    share = 1 / math.ceil(workers / gpus) if gpus else 0
    names = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    names |= dict.fromkeys(_THREADS, str(max(1, processors // workers)))
    names |= {"KERAS_BACKEND": keras.backend.backend(), **(_SHARED_GPU if 0 < share < 1 else {})}
    return {
        "num_cpus": 1,
        "num_gpus": share,
        "max_restarts": 0,
        "scheduling_strategy": "SPREAD",
        "runtime_env": {"env_vars": names},
    }


def _kill(actors: set[Any]) -> None:
    """Ends workers, also those that Ray only believes to be dead."""
    import ray

    if ray.is_initialized():
        for actor in actors:
            ray.kill(actor)


def _reason(error: Exception) -> str:
    """Ray's account of a death in one line."""
    return " ".join(str(error).split())
