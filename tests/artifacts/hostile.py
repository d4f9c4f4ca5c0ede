"""What hostile files do to who opens them, to be called in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def crash(*_: Any) -> None:
    """Ends the process as a hole in a library does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_: Any) -> None:
    """Never returns."""
    while True:
        time.sleep(1)


def eat(*_: Any) -> None:
    """Takes all the memory that there is."""
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * 2**26)
