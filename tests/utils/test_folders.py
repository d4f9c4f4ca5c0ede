"""A folder is the old one or the new one, whenever the writer dies."""

import json
import subprocess
import sys

import pytest

from l2zoo.utils import folders

MARK = "manifest.json"

# A writer without threads, which forks a child for every moment: the child kills itself at its n-th call
# into the file system (Python's audit events), and the parent looks at what is left.
KILLED_WRITERS = """
import json, os, pathlib, signal, sys
from l2zoo.utils import folders

root = pathlib.Path(sys.argv[1])
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
def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new(tmp_path):
    command = [sys.executable, "-c", KILLED_WRITERS, str(tmp_path)]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    states = [after for after, _, _ in seen]
    assert len(states) > 30
    assert states[0] == "old"
    assert states[-1] == "new"
    # There is one moment between two renames in which the name is free; the next run mends it.
    assert set(states) == {"old", "new", "none"}
    assert states.count("none") <= 2
    assert [following for _, following, _ in seen] == ["next"] * len(seen)
    assert [left for _, _, left in seen] == [["artifact"]] * len(seen)


def test_an_old_folder_moved_aside_by_a_killed_run_comes_back(tmp_path):
    old = tmp_path / ".artifact.partial" / "old"
    old.mkdir(parents=True)
    (old / MARK).write_text("old")
    with (
        pytest.raises(ValueError, match="`folder` exists already"),
        folders.whole_folder(tmp_path / "artifact", overwrite=False, mark=MARK),
    ):
        pass
    assert (tmp_path / "artifact" / MARK).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


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
    replace = folders.os.replace

    def refuse(source, target):
        if source.name == "new":
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(folders.os, "replace", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "artifact", "new", overwrite=True)
    assert (tmp_path / "artifact" / MARK).read_text() == "old"


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
