"""Ctrl-C and other exits that end what a person has started, wherever they strike."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

_AGAIN = 1.0  # seconds after which an interrupt that is not on its way is lost


@contextlib.contextmanager
def sure_interrupts() -> Iterator[None]:
    """Lets Ctrl-C end this block for sure: an interrupt that was swallowed on its way comes again.

    Python drops an exception that is raised while it calls back from C, as it does for every module that is
    imported; and libraries have handlers that catch everything. One that is on its way, while files and
    processes are closed, is left alone; a person's second Ctrl-C cuts that short too.

    In another thread than the main one, or where somebody else handles or ignores Ctrl-C, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    handler, unraisable = _Handler(), sys.unraisablehook
    signal.signal(signal.SIGINT, handler)
    sys.unraisablehook = _without_interrupts
    try:
        yield
    finally:
        handler.end()
        sys.unraisablehook = unraisable
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def sure_exits() -> Iterator[None]:
    """An exit that Python drops within, as `sure_interrupts` says, is raised at the end of this block.

    So a library's handler of SIGTERM, which calls `sys.exit`, ends the program after all.
    """
    dropped: list[SystemExit] = []
    before = sys.unraisablehook

    def note(about: Any) -> None:
        if isinstance(about.exc_value, SystemExit):
            dropped.append(about.exc_value)
        else:
            before(about)

    sys.unraisablehook = note
    try:
        yield
    finally:
        sys.unraisablehook = before
    if dropped:
        raise SystemExit(dropped[0].code)


class _Handler:
    """Raises, and asks a second later whether that is on its way."""

    def __init__(self) -> None:
        self._wanted = False  # whether somebody has pressed Ctrl-C
        self._asks = False  # whether it is this handler's own question

    def __call__(self, number: int, frame: Any) -> None:
        asks, self._asks = self._asks, False
        if asks and not self._wanted:
            return
        self._wanted = True
        timer = threading.Timer(_AGAIN, self._ask)
        timer.daemon = True
        timer.start()
        if asks and isinstance(sys.exc_info()[1], KeyboardInterrupt):  # of the code that is interrupted
            return
        raise KeyboardInterrupt

    def end(self) -> None:
        """It has ended the block, or is not wanted any more."""
        self._wanted = False

    def _ask(self) -> None:
        if self._wanted:
            self._asks = True
            _thread.interrupt_main()


def _without_interrupts(about: Any) -> None:
    """What Python says of exceptions that it drops, but for interrupts, which come again."""
    if about.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(about)
