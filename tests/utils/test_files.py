"""A file is held by one writer at a time, and its lock does not outlive the holder."""

import subprocess
import sys
import threading

import pytest

from l2zoo.utils.files import exclusive

HOLD = """
import sys
from l2zoo.utils.files import exclusive

with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_path_is_held_once_and_nothing_stays(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with exclusive(path):
        with (
            pytest.raises(ValueError, match=r"ledger\.jsonl is being written by another process now"),
            exclusive(path),
        ):
            pass
        with exclusive(tmp_path / "another"):
            pass
    with exclusive(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_raises_lets_go(tmp_path):
    with pytest.raises(RuntimeError, match="halfway"), exclusive(tmp_path / "a"):
        raise RuntimeError("halfway")
    with exclusive(tmp_path / "a"):
        pass


def test_who_waits_comes_next(tmp_path):
    order = []

    def follow():
        with exclusive(tmp_path / "a", wait=True):
            order.append("second")

    thread = threading.Thread(target=follow)
    with exclusive(tmp_path / "a"):
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_another_process_is_refused_until_it_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="being written by another process"), exclusive(tmp_path / "a"):
            pass
        holder.kill()
    with exclusive(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []
