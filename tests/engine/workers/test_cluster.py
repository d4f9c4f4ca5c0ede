"""A Ray of one's own that is ended while it starts leaves nothing behind."""

from __future__ import annotations

import signal
import sys
import time

import psutil
import pytest

from tests.processes import running, until

STARTS = """
import contextlib
from l2zoo.engine.workers import cluster
print("starts", flush=True)
with contextlib.ExitStack() as held:
    cluster.connect(None, workers=1, held=held)
    print("started", flush=True)
    __import__("time").sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="nobody else says who has files open")
@pytest.mark.parametrize(
    ("number", "pause"),
    [
        (signal.SIGTERM, 0),
        pytest.param(signal.SIGTERM, 1.5, marks=pytest.mark.sweep),
        pytest.param(signal.SIGKILL, 1.5, marks=pytest.mark.sweep),
    ],
)
def test_nothing_is_left_of_a_ray_that_is_ended_while_it_starts(number, pause):
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    with running([sys.executable, "-c", STARTS], start_new_session=True) as process:
        process.line("starts")
        folder = until(lambda: process.folder("l2zoo-ray-"), what="make a folder", of=process)
        time.sleep(pause)
        everyone = process.family()
        process.send_signal(number)
        assert "Traceback" not in process.outcome(timeout=60).stderr
        assert "started" not in "".join(process.stdout)
        assert psutil.wait_procs(everyone, timeout=20)[1] == []
        until(lambda: not folder.exists(), what="remove its folder", timeout=20)
