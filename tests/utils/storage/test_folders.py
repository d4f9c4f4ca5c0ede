"""A folder is the old one or the new one, whenever the writer dies."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from l2zoo.utils.storage import exchange, folders, temporary
from l2zoo.utils.storage.locks import SUFFIX

MARK = "manifest.json"

# A writer without threads, which forks a child for every moment: the child kills itself at its n-th call
# into the file system (Python's audit events), and the parent looks at what is left.
KILLED_WRITERS = """
import json, os, pathlib, signal, sys
from l2zoo.utils.storage import exchange, folders

root = pathlib.Path(sys.argv[1])
if sys.argv[2] == "without":
    exchange._renameat2 = lambda: None
EVENTS = ("open", "os.", "shutil.", "fcntl.")

def write(folder, word):
    with folders.whole_folder(folder, overwrite=True, mark="manifest.json") as (fresh, scratch):
        (scratch / "graph").write_text("half")
        (fresh / "sub").mkdir()
        (fresh / "sub" / "a").write_text(word)
        (fresh / "manifest.json").write_text(word)

def state(folder):
    if not folder.exists():
        return "none"
    words = {path.read_text() for path in (folder / "sub" / "a", folder / "manifest.json") if path.exists()}
    files = sum(path.is_file() for path in folder.rglob("*"))
    return words.pop() if len(words) == 1 and files == 2 else "half"

def die_at(moment):
    left = [moment]
    def hook(event, arguments):
        if event.startswith(EVENTS):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

seen = []
for moment in range(1, 1000):
    folder = root / str(moment) / "artifact"
    write(folder, "old")
    child = os.fork()
    if child == 0:
        die_at(moment)
        write(folder, "new")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    after = state(folder)
    write(folder, "next")
    seen.append([after, state(folder), sorted(os.listdir(folder.parent))])
    if status == 0:
        break
print(json.dumps(seen))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["with", "without"])
def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new(step, tmp_path):
    command = [sys.executable, "-c", KILLED_WRITERS, str(tmp_path), step]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    states = [after for after, _, _ in seen]
    assert len(states) > 30
    assert states[0] == "old"
    assert states[-1] == "new"
    # Without a step that exchanges two names there is one moment without the name; the next run mends it.
    assert set(states) == ({"old", "new"} if step == "with" else {"old", "new", "none"})
    assert states.count("none") <= 2
    assert [following for _, following, _ in seen] == ["next"] * len(seen)
    assert [left for _, _, left in seen] == [["artifact"]] * len(seen)


def leave(parent, *, of="artifact"):
    """What a process leaves in `parent` that is killed while it makes something."""
    with temporary.fresh_folder(parent, of=of) as folder:
        left = folder.rename(parent / f"{temporary.PREFIX}left")
        folder.mkdir()
    return left


def test_an_old_folder_moved_aside_by_a_killed_run_comes_back(tmp_path):
    old = leave(tmp_path) / "old"
    old.mkdir()
    (old / MARK).write_text("old")
    with (
        pytest.raises(ValueError, match="`folder` exists already"),
        folders.whole_folder(tmp_path / "artifact", overwrite=False, mark=MARK),
    ):
        pass
    assert (tmp_path / "artifact" / MARK).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def files_of(folder):
    return {path for path in folder.rglob("*") if not path.name.endswith(SUFFIX)}


def test_what_others_left_under_such_names_is_not_touched(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "wedding.jpg").write_text("dear")
    for number, name in enumerate([".artifact.partial", f"{temporary.PREFIX}link"]):
        (tmp_path / name).symlink_to(victim)
        real = tmp_path / f"{name}{number}"
        real.mkdir()
        (real / "wedding.jpg").write_text("dear")
    another = leave(tmp_path, of="another")
    (another / "old").mkdir()
    before = files_of(tmp_path)
    write(tmp_path / "artifact", "new")
    temporary.sweep(tmp_path)
    assert files_of(tmp_path) == before | {tmp_path / "artifact", tmp_path / "artifact" / MARK}


def test_a_writer_that_lives_is_not_taken_for_a_dead_one(tmp_path):
    with temporary.fresh_folder(tmp_path, of="artifact") as folder:
        assert temporary.abandoned_folders(tmp_path) == []
        temporary.sweep(tmp_path)
        assert folder.is_dir()
    left = leave(tmp_path)
    assert temporary.abandoned_folders(tmp_path, of="another") == []
    assert temporary.abandoned_folders(tmp_path, of="artifact") == [left]
    temporary.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def write(folder, word, *, overwrite=False):
    with folders.whole_folder(folder, overwrite=overwrite, mark=MARK) as (fresh, _):
        (fresh / MARK).write_text(word)


def test_a_block_that_raises_leaves_nothing(tmp_path):
    def halfway():
        with folders.whole_folder(tmp_path / "deep" / "artifact", overwrite=False, mark=MARK) as (fresh, _):
            (fresh / "a").write_text("half")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        halfway()
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_full_disk_leaves_the_old_folder(tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    write(tmp_path / "artifact", "old")
    monkeypatch.setattr(folders, "sync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "artifact", "new", overwrite=True)
    assert (tmp_path / "artifact" / MARK).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_rename_that_fails_brings_the_old_folder_back(tmp_path, monkeypatch):
    write(tmp_path / "artifact", "old")
    rename = folders.os.rename

    def refuse(source, target):
        if source.name == "new":
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    monkeypatch.setattr(folders.os, "rename", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "artifact", "new", overwrite=True)
    assert (tmp_path / "artifact" / MARK).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_folder_that_came_to_lie_there_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    write(tmp_path / "artifact", "old")
    for step in (exchange.exchange, lambda one, other: False):
        monkeypatch.setattr(folders, "exchange", step)
        writing = folders.whole_folder(tmp_path / "artifact", overwrite=True, mark=MARK)
        fresh, _ = writing.__enter__()
        (fresh / MARK).write_text("new")
        (tmp_path / "artifact" / MARK).rename(tmp_path / "artifact" / "photo.jpg")
        with pytest.raises(ValueError, match=r"holds no manifest\.json"):
            writing.__exit__(None, None, None)
        assert (tmp_path / "artifact" / "photo.jpg").rename(tmp_path / "artifact" / MARK).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_folder_is_replaced_only_when_asked(tmp_path):
    write(tmp_path / "artifact", "old")
    with pytest.raises(ValueError, match=r"exists already.*pass overwrite=True"):
        write(tmp_path / "artifact", "new")
    write(tmp_path / "artifact", "new", overwrite=True)
    assert (tmp_path / "artifact" / MARK).read_text() == "new"


def test_a_folder_that_is_not_an_artifact_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "wedding.jpg").write_text("dear")
    with pytest.raises(ValueError, match=r"holds no manifest\.json, so it is not an artifact"):
        write(tmp_path / "photos", "new", overwrite=True)
    assert (tmp_path / "photos" / "wedding.jpg").read_text() == "dear"


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "artifact").write_text("dear")
    with pytest.raises(ValueError, match="must not be a file"):
        write(tmp_path / "artifact", "new", overwrite=True)


def test_an_empty_folder_is_filled(tmp_path):
    write(tmp_path, "new")
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / MARK).read_text() == "new"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, "`folder` cannot be written .File name too long"),
        ("/".join([*["x" * 200] * 19, "x" * 100]), "paths of files in it would be longer than 4096"),
        ("file/artifact", "`folder` cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(name, message, tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match=message),
        folders.whole_folder(tmp_path / name, overwrite=False, mark=MARK),
    ):
        raise AssertionError("the work began")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_mount_point_and_a_disk_without_room_are_refused_before_the_work(tmp_path, monkeypatch):
    with (
        pytest.raises(OSError, match=r"MB are needed and .* MB are free.*make room") as caught,
        folders.whole_folder(tmp_path / "artifact", overwrite=False, mark=MARK, room=10**18),
    ):
        raise AssertionError("the work began")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(folders.os.path, "ismount", lambda path: path == tmp_path)
    with pytest.raises(ValueError, match="got the mount point"):
        write(tmp_path, "new", overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_folder_are_told_apart(tmp_path):
    with (
        folders.whole_folder(tmp_path / "artifact", overwrite=False, mark=MARK) as (fresh, _),
    ):
        (fresh / MARK).write_text("first")
        with pytest.raises(ValueError, match="being written by another process"):
            write(tmp_path / "artifact", "second")
    assert (tmp_path / "artifact" / MARK).read_text() == "first"


def test_the_root_is_not_a_folder_to_make():
    with pytest.raises(ValueError, match="must be the name of a folder"):
        write(folders.Path("/"), "new")


def keep_writing(folder, word, end, found):
    counts: Counter[str] = Counter()
    while time.monotonic() < end:
        try:
            with folders.whole_folder(folder, overwrite=True, mark=MARK) as (fresh, _):
                for name in ("a", "b", "c", MARK):
                    (fresh / name).write_text(word)
                assert {path.read_text() for path in fresh.iterdir()} == {word}
            counts["written"] += 1
        except ValueError as error:
            counts["refused" if "being written by another process" in str(error) else repr(error)] += 1
        except BaseException as error:
            counts[repr(error)] += 1
    found.append(counts)


def keep_reading(folder, end, found):
    counts: Counter[str] = Counter()

    def read():
        return tuple((folder / name).read_text() for name in (MARK, "a", "b", "c"))

    while time.monotonic() < end:
        try:
            counts["whole" if len(set(folders.read_whole(read, folder, mark=MARK))) == 1 else "mixed"] += 1
        except BaseException as error:
            counts[repr(error)] += 1
    found.append(counts)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["with", "without"])
def test_two_writers_and_two_readers_at_once_see_whole_folders_alone(step, tmp_path, monkeypatch):
    if step == "without":
        monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    folder, found = tmp_path / "artifact", []
    write(folder, "first", overwrite=True)
    for name in ("a", "b", "c"):
        (folder / name).write_text("first")
    end = time.monotonic() + 1
    tasks = [threading.Thread(target=keep_writing, args=(folder, word, end, found)) for word in "12"]
    tasks += [threading.Thread(target=keep_reading, args=(folder, end, found)) for _ in range(2)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    total = sum(found, Counter())
    assert set(total) == {"written", "refused", "whole"}, total
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]
