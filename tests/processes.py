"""The processes that tests start: read as they go, waited for patiently, and gone when the test is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

L2ZOO = Path(sys.executable).with_name("l2zoo")
PATIENCE = 600.0  # seconds for what must happen, however busy the machine is
GRACE = 30.0  # seconds in which a process may end by itself


class Process:
    """A process whose two outputs are read as they come, so that no pipe ever fills."""

    def __init__(self, command: Sequence[Any], **options: Any) -> None:
        # Whoever imported JAX in this process has set TensorFlow's log level for all that begin in it.
        own = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        options = {"env": own, **options}
        with _ctrl_c_at_its_default():
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                **options,
            )
        self.pid = self._popen.pid
        self._orphans: list[psutil.Process] = []
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        pipes = ((self._popen.stdout, self.stdout), (self._popen.stderr, self.stderr))
        self._readers = [threading.Thread(target=_read, args=each, daemon=True) for each in pipes]
        for reader in self._readers:
            reader.start()

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._popen.poll()

    def send_signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Kills it; what descends from it lives on until `close`."""
        self._orphans = self.family()[1:]
        self._popen.kill()

    def family(self) -> list[psutil.Process]:
        """This process, and all that descend from it."""
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def folder(self, prefix: str) -> Path | None:
        """The folder in /tmp that `l2zoo.utils.processes.after_death` watches for it, once there is one."""
        for each in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                for part in map(Path, each.cmdline()):
                    if part.parent == Path("/tmp") and part.name.startswith(prefix):
                        return part
        return None

    def line(self, pattern: str, *, timeout: float = PATIENCE) -> re.Match[str]:
        """The first match in a line of either output, as soon as it is there."""

        def match() -> re.Match[str] | None:
            return next(
                filter(None, (re.search(pattern, each) for each in (*self.stdout, *self.stderr))), None
            )

        return until(match, what=f"print {pattern!r}", of=self, timeout=timeout)

    def outcome(self, *, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Exit status and outputs, once it has ended by itself."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"It did not end within {timeout:.0f} seconds. {self!r}") from None
        self._drain()
        return subprocess.CompletedProcess(
            self._popen.args, self._popen.returncode, "".join(self.stdout), "".join(self.stderr)
        )

    def close(self) -> None:
        """Ends it and all that descend from it: kindly, then by force."""
        family = [*self._orphans, *self.family()[1:]]
        if self.poll() is None:
            self._popen.terminate()
        try:
            self._popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(GRACE)
        _, stubborn = psutil.wait_procs(family, timeout=GRACE)
        for each in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(stubborn, timeout=GRACE)
        self._drain()

    def _drain(self) -> None:
        pipes = (self._popen.stdout, self._popen.stderr)
        for reader, pipe in zip(self._readers, pipes, strict=True):
            reader.join(GRACE)
            if pipe is not None and not reader.is_alive():  # who closes it under a reader waits for ever
                pipe.close()

    def __repr__(self) -> str:
        return f"{self._popen.args}\nstatus: {self.poll()}\n{''.join(self.stdout)}{''.join(self.stderr)}"


def _read(pipe: IO[str], lines: list[str]) -> None:
    lines.extend(iter(pipe.readline, ""))


@contextlib.contextmanager
def _ctrl_c_at_its_default() -> Iterator[None]:
    """What runs in the background of a shell ignores Ctrl-C, and so would what it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def running(command: Sequence[Any], **options: Any) -> Iterator[Process]:
    """A process that ends with the block; `options` are those of `subprocess.Popen`."""
    with contextlib.closing(Process(command, **options)) as process:
        yield process


def run(
    command: Sequence[Any], *, timeout: float = PATIENCE, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Exit status and outputs of a process that ends by itself."""
    with running(command, **options) as process:
        return process.outcome(timeout=timeout)


def output_of(command: Sequence[Any], **options: Any) -> str:
    """What a process prints that must succeed."""
    done = run(command, **options)
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}.\n{done.stdout}{done.stderr}"
    return done.stdout


def until(
    question: Callable[[], Any], *, what: str, of: Process | None = None, timeout: float = PATIENCE
) -> Any:
    """Asks until there is an answer; fails when the time is over, or the process that should give it."""
    end = time.monotonic() + timeout
    while True:
        ended = of is not None and of.poll() is not None
        if ended:
            of._drain()
        answer = question()
        if answer:
            return answer
        assert not ended, f"It ended and did not {what}: {of!r}"
        assert time.monotonic() < end, f"It did not {what} within {timeout:.0f} seconds. {of or ''}"
        time.sleep(0.02)
