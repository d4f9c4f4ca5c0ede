"""What the tests of bounded processes call over there."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from typing import Any

import numpy as np


def echo(*arguments: Any, **named: Any) -> Any:
    return [*arguments, named] if named else list(arguments)


def ask_for_memory(size: int) -> int:
    return int(np.ones(size, np.uint8)[-1])


def hold_the_lock() -> None:
    """Computes for years, and lets no other thread of the process run meanwhile."""
    re.match("(a+)+$", "a" * 60 + "b")


def raise_error(kind: str, words: str) -> None:
    raise {"KeyError": KeyError, "UnicodeError": UnicodeError, "OSError": OSError}[kind](words)


def send(header: bytes, body: bytes, lengths: tuple[int, int] | None = None) -> None:
    """Answers as one would who has taken over the process."""
    answers = sys._getframe(2).f_locals["answers"]
    header_length, body_length = lengths or (len(header), len(body))
    answers.write(header_length.to_bytes(8, "little") + body_length.to_bytes(8, "little") + header + body)
    answers.flush()
    time.sleep(1000)


def close_output() -> None:
    os.close(sys._getframe(2).f_locals["answers"].fileno())
    time.sleep(1000)


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(1000)


def name_handler() -> str:
    return str(signal.getsignal(signal.SIGINT))


def print_and_read(words: str) -> str:
    print(words, flush=True)
    return sys.stdin.read()


def limits() -> list[int]:
    import resource

    return [*resource.getrlimit(resource.RLIMIT_DATA), *resource.getrlimit(resource.RLIMIT_CORE)]
