"""A folder for other programs goes with them, however its owner ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from l2zoo.utils.processes.after_death import working_folder
from tests.processes import running, until

WORKS = (
    "import sys, time; file = open(sys.argv[1] + '/log', 'w'); print('works', flush=True); time.sleep(1000)"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WORKS
OWNER = """
import subprocess, sys
from l2zoo.utils.processes.after_death import working_folder
with working_folder("l2zoo-test-", of="works") as folder:
    for code in sys.argv[1:]:
        child = subprocess.Popen(
            [sys.executable, "-c", code, folder], start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        print("child", child.pid, flush=True)
    print("folder", folder, flush=True)
    sys.stdin.read() if len(sys.argv) == 1 else __import__("time").sleep(1000)
"""
proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nobody says who has files open")


def test_it_is_there_for_the_block_and_gone_afterwards():
    with working_folder("l2zoo-test-", of="works") as folder:
        (Path(folder) / "some/deep").mkdir(parents=True)
        (Path(folder) / "some/deep/file").write_text("x")
    assert not Path(folder).exists()
    with pytest.raises(KeyError), working_folder("l2zoo-test-", of="works") as folder:
        raise KeyError
    assert not Path(folder).exists()


@proc
@pytest.mark.slow
@pytest.mark.usefixtures("hears_hangups")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_an_owner_that_is_killed(number):
    with running([sys.executable, "-c", OWNER, WORKS, STUBBORN], start_new_session=True) as owner:
        folder = Path(owner.line(r"folder (.*)")[1])
        children = [psutil.Process(int(line.split()[1])) for line in owner.stdout if line.startswith("child")]
        assert len(children) == 2
        os.killpg(owner.pid, number)  # as a terminal does
        until(lambda: not folder.exists(), what="remove the folder", timeout=30)
        assert not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@proc
def test_who_is_not_meant_is_left_alone():
    with contextlib.ExitStack() as held:
        with working_folder("l2zoo-test-", of="no such program") as folder:
            child = held.enter_context(running([sys.executable, "-c", WORKS, folder]))
            child.line("works")
        assert child.poll() is None
        assert not Path(folder).exists()
