"""Ctrl-C ends a block also where it was swallowed, and leaves alone what cleans up after it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable

import pytest

from l2zoo.utils import interrupts
from l2zoo.utils.interrupts import sure_exits, sure_interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupts, "_AGAIN", 0.05)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait() -> None:
    """Does what takes long, in small steps."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        time.sleep(0.01)
    raise AssertionError("Nothing came.")


class Thing:
    """Can be referred to weakly."""


def swallow_in_a_callback() -> None:
    thing = Thing()
    kept = weakref.ref(thing, lambda _: press())
    del thing
    assert kept() is None


def swallow_in_a_handler() -> None:
    with contextlib.suppress(BaseException):
        press()
        wait()


@pytest.mark.slow
@pytest.mark.parametrize("swallow", [swallow_in_a_callback, swallow_in_a_handler, press])
def test_an_interrupt_that_was_swallowed_comes_again(swallow, capsys) -> None:
    def work() -> None:
        with sure_interrupts():
            swallow()
            wait()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert capsys.readouterr() == ("", "")  # nor does Python speak of an exception that it ignored
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_cleans_up_is_not_disturbed_but_by_a_second_one() -> None:
    done = []

    def work(*clean: Callable[[], object]) -> None:
        with sure_interrupts():
            try:
                press()
                wait()
            finally:
                for step in clean:
                    step()
                    done.append(step)

    def rest() -> None:
        time.sleep(0.3)

    with pytest.raises(KeyboardInterrupt):
        work(rest)
    assert done == [rest]
    with pytest.raises(KeyboardInterrupt):
        work(press, wait)
    assert done == [rest]


def test_a_block_that_ended_well_is_not_interrupted_later() -> None:
    with sure_interrupts(), contextlib.suppress(KeyboardInterrupt):
        press()
        wait()
    time.sleep(0.2)


def test_who_handles_ctrl_c_otherwise_goes_on_to_do_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with sure_interrupts():
        press()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_an_exit_that_python_drops_is_raised_at_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with sure_exits():
            thing = Thing()
            kept = weakref.ref(thing, lambda _: sys.exit(15))
            del thing
            done.append(kept())

    with pytest.raises(SystemExit) as ended:
        work()
    assert done == [None]  # it went on until then
    assert ended.value.code == 15
    with sure_exits():  # and nothing ends where nobody asked for it
        done.append(0)
