"""A path is held by one process at a time, its lock does not outlive the holder, and names who it is."""

import errno
import subprocess
import sys
import threading

import pytest

from l2zoo.utils.storage import locks
from l2zoo.utils.storage.locks import exclusive, lock_of

HOLD = """
import sys
from l2zoo.utils.storage.locks import exclusive

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
        who = rf"by another process now \(held by process {holder.pid} on \S+ since 20[-0-9: +]+\)\. Wait"
        with pytest.raises(ValueError, match=who), exclusive(tmp_path / "a"):
            pass
        holder.kill()
    with exclusive(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_deleted_while_somebody_waited_for_it_is_taken_anew(tmp_path):
    held = 0

    def count():
        nonlocal held
        for _ in range(200):
            with exclusive(tmp_path / "a", wait=True):
                held += 1
                assert held == 1
                held -= 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["1234", "mine"])
def test_a_file_that_only_has_the_name_of_a_lock_is_left_alone(content, tmp_path):
    lock_of(tmp_path / "a").write_text(content)
    with pytest.raises(ValueError, match="has the name of a lock and is none"), exclusive(tmp_path / "a"):
        pass
    assert lock_of(tmp_path / "a").read_text() == content


def test_a_lock_is_never_written_through_a_link(tmp_path):
    (tmp_path / "mine").write_text("")
    lock_of(tmp_path / "a").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"), exclusive(tmp_path / "a"):
        pass
    assert (tmp_path / "mine").read_text() == ""


def test_a_file_system_without_locks_holds_nobody_off_and_says_so(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with exclusive(tmp_path / "a") as certain, exclusive(tmp_path / "a"):
        assert not certain
    assert list(tmp_path.iterdir()) == []
