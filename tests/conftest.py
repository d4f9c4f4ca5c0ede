"""What a test leaves open fails that test, and not one that comes later.

Looked at are child processes, threads, files, pipes and sockets, and l2zoo's temporary folders. What a
fixture of a module or of the session holds is charged when the fixture's own time is over.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

PATIENCE = 20.0  # seconds in which what is about to end may end
FILES = Path("/proc/self/fd")  # Linux alone has it; elsewhere files and sockets are not looked at

# What a library keeps for later, once it has been used.
KEPT_THREADS = ("tqdm", "jax", "torch", "ray", "concurrent")
KEPT_PROCESSES = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
KEPT_FILES = ("/dev/", "/proc/", "/sys/", "anon_inode:", str(Path.home() / ".cache"))
RAYS_LOGS = "/ray/session_"
FONTS = (".ttf", ".ttc", ".otf")  # stay in matplotlib's cache

Open = dict[Hashable, str]


class Held(NamedTuple):
    """What fixtures of more than one test opened, by how long they may hold it."""

    for_a_module: set[Hashable]
    for_ever: set[Hashable]


HELD = Held(set(), set())


def pytest_configure(config: pytest.Config) -> None:
    """Gives this process a temporary folder of its own, which goes with it; `tmp_path` stays where it was."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", default=None):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        folder = tempfile.mkdtemp(prefix="tests-")
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long on other backends, and is the same there, is for their sweep."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        for item in items:
            if item.get_closest_marker("sweep_elsewhere"):
                item.add_marker(pytest.mark.slow)
                item.add_marker(pytest.mark.sweep)


def whats_open() -> Open:
    """Everything that this process holds now, with a word for each."""
    return {**dict(threads()), **dict(processes()), **dict(files()), **dict(folders())}


def threads() -> Iterator[tuple[Hashable, str]]:
    for thread in threading.enumerate():
        target = getattr(thread, "_target", None) or type(thread)
        home = str(getattr(target, "__module__", ""))
        # One that was interrupted while it began may be counted after it has ended.
        if thread.is_alive() and not (thread.daemon and home.split(".")[0] in KEPT_THREADS):
            yield thread, f"thread {thread.name!r} of {home}"


def processes() -> Iterator[tuple[Hashable, str]]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, AttributeError):  # there is none, which is quickly known; Windows cannot say
        return
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            if not any(kept in command for kept in KEPT_PROCESSES):
                yield process, f"process {process.pid}: {command[:200] or process.status()}"


def files() -> Iterator[tuple[Hashable, str]]:
    for name in os.listdir(FILES) if FILES.exists() else ():
        with contextlib.suppress(OSError):
            target = os.readlink(FILES / name)
            if not (target.startswith(KEPT_FILES) or RAYS_LOGS in target or target.endswith(FONTS)):
                yield (name, target), f"file {name}: {target}"


def folders() -> Iterator[tuple[Hashable, str]]:
    for name in os.listdir(tempfile.gettempdir()):
        if name.startswith("l2zoo-"):
            yield name, f"folder {name}"


def without_sockets_of_libraries(left: set[Hashable]) -> set[Hashable]:
    """All but the sockets that Python knows nothing of: gRPC keeps some, of Ray and TensorFlow."""
    sockets = {each for each in left if isinstance(each, tuple) and each[1].startswith("socket:")}
    if not sockets:
        return left
    ours = {str(each.fileno()) for each in gc.get_objects() if issubclass(type(each), socket.socket)}
    return left - {each for each in sockets if each[0] not in ours}


# Where the first step is what is tested, it is Keras's own.
TRACED_AS_EVER = ("training", "engine", "search", "studies")


@functools.cache
def traced_once() -> tuple[Any, Any]:
    """Keras's own `make_train_function`, and one that makes the optimizer's variables before the first trace.

    Keras makes them within the first step, and then TensorFlow traces it again, since variables may be made
    but once: of small models that is half of the time of a test.
    """
    import keras

    make = keras.Model.make_train_function

    @functools.wraps(make)  # so that it is taken for Keras's own
    def make_train_function(model: Any, force: bool = False) -> Any:
        optimizer = getattr(model, "optimizer", None)
        if model.built and optimizer is not None and not optimizer.built and model.trainable_variables:
            with model.distribute_strategy.scope():
                optimizer.build(model.trainable_variables)
        return make(model, force)

    return make, make_train_function


@contextlib.contextmanager
def everything_closed(*exempt: set[Hashable]) -> Iterator[None]:
    """Fails at the end if something is open that was not at the beginning."""
    __tracebackhide__ = True
    before = whats_open()
    yield
    end = time.monotonic() + PATIENCE
    while left := without_sockets_of_libraries(whats_open().keys() - before.keys() - set().union(*exempt)):
        gc.collect()  # which says "unclosed file" where it belongs
        if time.monotonic() > end:
            break
        time.sleep(0.01)
    if left:
        names = whats_open()
        HELD.for_ever.update(left)  # charged once
        for each in left:
            if isinstance(each, psutil.Process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        pytest.fail("Left open: " + "; ".join(sorted(names.get(each, str(each)) for each in left)) + ".")


def pytest_runtest_setup(item: pytest.Item) -> None:
    keras = sys.modules.get("keras")
    if keras is not None and keras.config.backend() == "tensorflow":
        own, once = traced_once()
        as_ever = item.get_closest_marker("slow") or any(part in TRACED_AS_EVER for part in item.path.parts)
        keras.Model.make_train_function = own if as_ever else once


@pytest.fixture(autouse=True, scope="module")
def _a_module_closes_what_it_opens() -> Iterator[None]:
    with everything_closed(HELD.for_ever):
        yield


@pytest.fixture(autouse=True)
def _a_test_closes_what_it_opens() -> Iterator[None]:
    with everything_closed(*HELD):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Notes what a fixture of more than one test opens, which may be in the midst of one."""
    if fixturedef.scope == "function":
        return (yield)
    before = whats_open()
    try:
        return (yield)
    finally:
        keeper = HELD.for_a_module if fixturedef.scope in ("class", "module") else HELD.for_ever
        keeper.update(whats_open().keys() - before.keys())


@pytest.fixture
def hears_hangups() -> Iterator[None]:
    """What this process starts ends by SIGHUP, also where nohup has made this one deaf to it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
