"""Calls a function in a process of its own that may take so much time and memory, and no more.

For what opens files of strangers: a crash, an endless loop or a full memory costs an error and not the
program. What comes back is JSON and the bytes of arrays, never a pickle: whoever has taken over the child can
answer wrongly, but can run nothing here.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import math
import os
import pickle
import queue
import re
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

START = 120.0  # seconds in which Python must have started and imported what is our own
ANSWER = 2**30  # bytes
_HEADER = 4 * 2**20  # bytes of JSON, which takes up to some 25 times as many once it is read
_GRACE = 1.0  # seconds after which a child ends itself whose parent did not end it
_LENGTH = struct.Struct("<Q")
_LENGTHS = struct.Struct("<QQ")
_DTYPES = frozenset(np.dtype(code).newbyteorder("<").str for code in "?bBhHiIqQefd")
_WORDS = 2000  # characters of an error
_ERRORS = (
    FileNotFoundError,
    ImportError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_RAISED: dict[str, type[Exception]] = {one.__name__: one for one in _ERRORS}
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from l2zoo.utils.processes import bounded_process; bounded_process.answer_calls()"
)


class BoundedProcess:
    """A function that runs in another process, which starts at the first call and is there for the next.

    If the process dies, another takes its place at the next call. It ends with `close`, with the block, with
    this object, and with this process, however that ends. Threads take turns.

    Memory is bounded on Linux alone; on other systems time is. Nothing is bounded or hidden but that: the
    child has the files and the rights of this process, so that this is no sandbox for programs.

    Args:
        function: `"package.module:function"`, importable here and there. Its arguments must pickle. It
            returns None, numbers, texts, bytes, NumPy's arrays of numbers, or lists, tuples (which arrive as
            lists) and dicts with texts as keys of such.
        seconds: For each call; starting has `START` seconds of its own.
        memory: Bytes that the child may take beyond what it has once its modules are imported; None for as
            many as there are. Threads count with their stacks, 8 MB each as a rule.
        answer: Bytes of an answer at most.
        modules: Further modules that the function imports late, to be imported before memory is counted.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> with BoundedProcess("math:hypot", seconds=60) as hypot:
        ...     hypot(3, 4)
        5.0
    """

    def __init__(
        self,
        function: str,
        *,
        seconds: float,
        memory: int | None = None,
        answer: int = ANSWER,
        modules: Sequence[str] = (),
    ):
        if not re.fullmatch(r"[\w.]+:\w+", function):
            raise ValueError(f"`function` must be 'package.module:function', got function={function!r}.")
        if not (math.isfinite(seconds) and 0 < seconds <= threading.TIMEOUT_MAX):
            raise ValueError(f"`seconds` must be a finite number > 0, got seconds={seconds}.")
        if memory is not None and memory <= 0:
            raise ValueError(f"`memory` must be None or bytes > 0, got memory={memory}.")
        self.function = function
        self.seconds = seconds
        self.memory = memory
        self.answer = answer
        self._modules = tuple(modules)
        self._turn = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []  # one or none
        self._end = weakref.finalize(self, _end, self._children)  # at the latest when Python ends

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function returns.

        Raises:
            TimeoutError: It took longer than `seconds`, and was ended.
            MemoryError: It needed more memory than it may take.
            ChildProcessError: The process died, of the signal or with the status that is named, or what it
                answered is none.
            Exception: What the function raised, if it is one of Python's common errors; a RuntimeError with
                its name in the place of others.
        """
        request = pickle.dumps((arguments, named), protocol=pickle.HIGHEST_PROTOCOL)
        with self._turn:
            child = next(iter(self._children), None)
            if child is None or child.poll() is not None:  # it may have died while nobody asked
                _end(self._children)
                child = self._start()
            return self._exchange(child, request, self.seconds)

    def __enter__(self) -> BoundedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, in the middle of a call too, which then raises ChildProcessError."""
        self._end()

    @property
    def pid(self) -> int | None:
        """The number of the process, while there is one."""
        return next((child.pid for child in self._children), None)

    def _start(self) -> subprocess.Popen[bytes]:
        """A child that has imported its function and waits."""
        if not self._end.alive:
            raise ValueError(f"The process of `{self.function}` is closed. Make another BoundedProcess.")
        child = subprocess.Popen(
            # Not "-m": that would look for modules in the working directory first.
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps([str(one) for one in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries print of hostile files reaches no terminal
        )
        self._children.append(child)
        try:
            self._exchange(
                child, pickle.dumps((self.function, self._modules, self.memory, self.seconds)), START
            )
        except Exception:
            _end(self._children)
            raise
        return child

    def _exchange(self, child: subprocess.Popen[bytes], request: bytes, seconds: float) -> Any:
        """Sends a child a request and reads its answer; where it cannot go on, it does not live on."""
        late = threading.Event()

        def end_late() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(seconds, end_late)
        timer.daemon = True
        timer.start()
        try:
            found = _talk(child, request, self.answer)
        except (EOFError, OSError, ValueError) as error:  # of a pipe that ended, or of one that was closed
            timer.cancel()
            timer.join()
            said = self._say_death(child, seconds if late.is_set() else None, error)
            _end(self._children)
            raise said from None
        except BaseException:
            _end(self._children)
            raise
        finally:
            timer.cancel()
            timer.join()
        if late.is_set():  # it answered in the last moment, and is gone now
            _end(self._children)
        return self._decode(*found)

    def _decode(self, header: bytes, body: bytearray) -> Any:
        try:
            kind, value = _decode_answer(header, body)
        except Exception as error:  # whatever those can send who have taken over the child
            _end(self._children)
            raise ChildProcessError(f"{self._subject} answered with what is no answer.") from error
        if kind == "result":
            return value
        name, words = value
        if name == "MemoryError":
            _end(self._children)  # what it still holds would count for the next call
            raise MemoryError(f"`{self.function}` needed more than {self._room} of memory.")
        raise _RAISED[name](words)

    def _say_death(
        self, child: subprocess.Popen[bytes], seconds: float | None, error: Exception
    ) -> Exception:
        """What to raise, of a child that has died or must; after `seconds`, if it took too long."""
        if not self._end.alive:
            return ChildProcessError(f"{self._subject} was closed in the middle of a call.")
        if seconds is not None:
            return TimeoutError(f"`{self.function}` took longer than {seconds:g} seconds, and was ended.")
        if isinstance(error, _TooLongError):
            return ChildProcessError(f"{self._subject} answered with {error}.")
        try:
            status = child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return ChildProcessError(f"{self._subject} closed its output, and was ended.")
        if status >= 0:
            return ChildProcessError(f"{self._subject} ended with status {status}.")
        more = "" if self.memory is None else f"; it may take {self._room} of memory"
        return ChildProcessError(f"{self._subject} died of {_name_signal(-status)}{more}.")

    @property
    def _subject(self) -> str:
        return f"The process of `{self.function}`"

    @property
    def _room(self) -> str:
        return "there is" if self.memory is None else f"{self.memory / 2**20:,.0f} MiB"


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    """Ends the child, if there is one, and takes its last word from the system."""
    while children:
        child = children.pop()
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # of what could not be written any more
                if pipe is not None:
                    pipe.close()


# ---- Between the two ---------------------------------------------------------------------------------------


class _TooLongError(ValueError):
    """Said of an answer that is longer than agreed, by its length."""


def _talk(child: subprocess.Popen[bytes], request: bytes, most: int) -> tuple[bytes, bytearray]:
    """Sends a request, and gives the two parts of the answer, at most so many bytes."""
    requests: Any = child.stdin
    answers: Any = child.stdout
    requests.write(_LENGTH.pack(len(request)))
    requests.write(request)
    requests.flush()
    header_length, body_length = _LENGTHS.unpack(_read(answers, _LENGTHS.size))
    if header_length > _HEADER or body_length > most:
        raise _TooLongError(f"{header_length + body_length:,} bytes, of which {most:,} are allowed")
    return bytes(_read(answers, header_length)), _read(answers, body_length)


def _read(stream: Any, length: int) -> bytearray:
    """As many bytes as were asked for, or an EOFError."""
    found = bytearray(length)
    rest = memoryview(found)
    while rest:
        count = stream.readinto(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return found


def _encode(value: Any, parts: list[bytes | memoryview]) -> Any:
    """A value as JSON; arrays and bytes go to `parts`, in the order in which they are met."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_encode(one, parts) for one in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("A bounded process returns dicts whose keys are texts alone.")
        return {"dict": {key: _encode(one, parts) for key, one in value.items()}}
    if isinstance(value, bytes):
        parts.append(value)
        return {"bytes": len(value)}
    if isinstance(value, np.ndarray):
        dtype = value.dtype.newbyteorder("<")
        if dtype.str in _DTYPES:
            parts.append(np.ascontiguousarray(value, dtype).reshape(-1).view(np.uint8).data)
            return {"array": [dtype.str, list(value.shape)]}
    raise TypeError(f"A bounded process returns plain values and arrays, got {type(value).__name__}.")


def _decode_answer(header: bytes, body: bytearray) -> tuple[str, Any]:
    """The kind and value of an answer, of which nothing is believed.

    Raises:
        Exception: Of many kinds: it is none.
    """
    rest = memoryview(body)

    def take(length: Any) -> memoryview:
        nonlocal rest
        if type(length) is not int or not 0 <= length <= len(rest):
            raise ValueError("More bytes are named than were sent.")
        part, rest = rest[:length], rest[length:]
        return part

    def decode(node: Any) -> Any:
        if isinstance(node, list):
            return [decode(one) for one in node]
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        if kind == "dict":
            return {key: decode(one) for key, one in content.items()}
        if kind == "bytes":
            return bytes(take(content))
        name, shape = content
        if kind != "array" or name not in _DTYPES or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError("This is no array.")
        dtype = np.dtype(name)
        return np.frombuffer(take(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)

    ((kind, node),) = json.loads(header).items()
    value = decode(node)
    if rest or kind not in ("result", "error"):
        raise ValueError("More was sent than is named.")
    if kind == "error":
        name, words = value
        if name not in _RAISED or not isinstance(words, str):
            raise ValueError("This is no error.")
        return kind, (name, words)
    return kind, value


# ---- In the child ------------------------------------------------------------------------------------------


def answer_calls() -> None:
    """What the child does until its parent is gone."""
    requests, answers = _take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, with whom it ends
    waiting: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    threading.Thread(target=_watch, args=(requests, waiting), daemon=True).start()
    name, modules, memory, seconds = pickle.loads(waiting.get())  # which our parent wrote
    function: list[Callable[..., Any]] = []

    def start() -> None:
        function.append(_import_function(name, modules))
        _bound_memory(memory)

    def call() -> Any:
        arguments, named = pickle.loads(waiting.get())
        # By a thread in C, which ends the process even where one that computes lets no other run.
        faulthandler.dump_traceback_later(seconds + _GRACE, exit=True, file=nowhere)
        return function[0](*arguments, **named)

    with open(os.devnull, "w") as nowhere:
        _answer(start, answers)
        while True:
            _answer(call, answers)
            faulthandler.cancel_dump_traceback_later()


def _import_function(name: str, modules: Sequence[str]) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    for other in modules:
        importlib.import_module(other)
    return function


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes to the parent; whatever else reads or prints has neither."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    return requests, answers


def _watch(requests: BinaryIO, waiting: queue.SimpleQueue[bytearray]) -> None:
    """Reads what the parent asks, in the middle of a call too, and ends the process when it is gone."""
    try:
        while True:
            (length,) = _LENGTH.unpack(_read(requests, _LENGTH.size))
            waiting.put(_read(requests, length))
    except BaseException:  # the end of the pipe, or no memory for what it holds
        os._exit(1)


def _answer(call: Callable[[], Any], answers: BinaryIO) -> None:
    parts: list[bytes | memoryview] = []
    try:
        header = json.dumps({"result": _encode(call(), parts)}).encode()
    except Exception as error:
        parts.clear()
        header = json.dumps({"error": _say_error(error)}).encode()
    answers.write(_LENGTHS.pack(len(header), sum(map(len, parts))))
    for part in (header, *parts):
        answers.write(part)
    answers.flush()


def _say_error(error: Exception) -> list[str]:
    """The name of the kind that the parent will raise, and the words."""
    kind = next((one for one in type(error).__mro__ if _RAISED.get(one.__name__) is one), None)
    words = str(error)[:_WORDS]
    if kind is None:
        return ["RuntimeError", f"{type(error).__name__}: {words}"]
    return [kind.__name__, words]


def _bound_memory(more: int | None) -> None:
    """Lets this process have so many more bytes than it has now, where the system counts them."""
    try:
        import resource
    except ImportError:  # on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no heap of somebody's images on the disk
    status = Path("/proc/self/status")
    has = re.search(r"^VmData:\s+(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
    if more is not None and has:
        # Not the addresses (RLIMIT_AS): drivers and allocators reserve far more of them than they use.
        resource.setrlimit(resource.RLIMIT_DATA, (int(has[1]) * 1024 + more,) * 2)
