from __future__ import annotations

import os
import signal
import sys

import psutil
import pytest

from tests.processes import output_of, run, running, until

SLEEPS = "import sys, time; print('ready', sys.argv[1:], flush=True); time.sleep(1000)"
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3));"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']);"
    "print(child.pid, flush=True); time.sleep(1000)"
)
WRITES = "import sys; sys.stderr.write('x' * 10**6 + '\\n'); print('written', flush=True); sys.exit(4)"


def python(code: str, *arguments: object) -> list[object]:
    return [sys.executable, "-c", code, *arguments]


def test_it_is_read_while_it_runs_and_gone_after_the_block() -> None:
    with running(python(SLEEPS, 1, "a")) as process:
        assert process.line(r"ready (.*)")[1] == "['1', 'a']"
        assert process.poll() is None
    assert process.poll() == -signal.SIGTERM
    assert not psutil.pid_exists(process.pid)


@pytest.mark.slow
def test_what_it_started_is_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.processes.GRACE", 1.0)
    with running(python(STUBBORN)) as process:
        child = int(process.line(r"(\d+)")[1])
        assert psutil.pid_exists(child)
    assert process.poll() == 3
    until(lambda: not psutil.pid_exists(child), what="end")


def test_full_pipes_do_not_stop_it() -> None:
    done = run(python(WRITES))
    assert (done.returncode, done.stdout, len(done.stderr)) == (4, "written\n", 10**6 + 1)
    assert output_of(python("print('a')")) == "a\n"
    with pytest.raises(AssertionError, match="ended with 4"):
        output_of(python(WRITES))


def test_what_never_comes_is_said_with_what_came() -> None:
    with running(python("print('something else')")) as process:
        with pytest.raises(AssertionError, match=r"ended and did not print 'ready'[^$]*something else"):
            process.line("ready")
        assert process.outcome().returncode == 0
    with pytest.raises(AssertionError, match="did not arrive within 0 seconds"):
        until(lambda: False, what="arrive", timeout=0)
    with running(python(SLEEPS)) as process, pytest.raises(AssertionError, match="did not end"):
        process.outcome(timeout=0.01)


def test_ctrl_c_reaches_it_though_this_process_ignores_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with running(python(SLEEPS), start_new_session=True) as process:
            process.line("ready")
            os.killpg(process.pid, signal.SIGINT)
            done = process.outcome()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
