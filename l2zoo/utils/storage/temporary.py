"""Folders in which something is made before it gets its name: fresh, hidden, and known again when left.

A killed process leaves its own behind. It is known by a note in it and by a lock that nobody holds any more,
never by its name alone; one that was not marked yet has nothing in it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from l2zoo.utils.storage.locks import exclusive, lock_of

PREFIX = ".l2zoo-partial-"
_NOTE = "note.txt"
_WORDS = "l2zoo writes {name!r} here. When no process does so any more, this folder may be deleted.\n"
_TRIES = 10
KEPT = "old"
"""What lies under this name in a temporary folder waits to be put back, so such a folder stays."""


@contextlib.contextmanager
def fresh_folder(parent: Path, *, of: str) -> Iterator[Path]:
    """Gives a new folder in `parent`, which vanishes with the block.

    Args:
        parent: Where, so that what is made can be renamed to where it belongs.
        of: Name of what is made in it.
    """
    with contextlib.ExitStack() as held:
        folder = _make(parent, held)
        try:
            (folder / _NOTE).write_text(_WORDS.format(name=of), encoding="utf-8")
            yield folder
        finally:
            if not (folder / KEPT).exists():
                _empty(folder)
                held.close()
                folder.rmdir()


def abandoned_folders(parent: Path, *, of: str | None = None) -> list[Path]:
    """The folders in `parent` whose makers are dead.

    Args:
        parent: Where `fresh_folder` was called.
        of: Name of what was made in them; by default any.
    """
    found = []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError, ValueError):  # its maker lives, or it is none of ours
            if _is_ours(folder, of):
                with exclusive(folder / _NOTE) as certain:
                    found += [folder] if certain else []
    return found


def remove(folder: Path) -> None:
    """Deletes a folder that `abandoned_folders` gave, as far as that is possible."""
    _empty(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()


def sweep(parent: Path) -> None:
    """Deletes what killed processes left in a folder; what a rename would bring back stays."""
    for folder in abandoned_folders(parent):
        if not (folder / KEPT).exists():
            remove(folder)


def _make(parent: Path, held: contextlib.ExitStack) -> Path:
    """Makes a folder and holds its lock; another one where somebody just took an empty one away."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError, ValueError):
            held.enter_context(exclusive(folder / _NOTE))
            return folder
    raise FileNotFoundError(f"No temporary folder stays in {parent}: somebody deletes them.")


def _empty(folder: Path) -> None:
    """Deletes what is in a folder, the note last: whoever is killed here leaves what is known again."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name == _NOTE):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif entry.name != lock_of(folder / _NOTE).name:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


def _is_ours(folder: Path, of: str | None) -> bool:
    """Whether it is a folder, no link, of this user, with the note that `fresh_folder` leaves, or empty."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or (os.name == "posix" and about.st_uid != os.getuid()):
        return False
    note = folder / _NOTE
    if set(os.listdir(folder)) <= {lock_of(note).name}:
        return True
    if not stat.S_ISREG(note.lstat().st_mode):
        return False
    before, after = _WORDS.split("{name!r}")
    words = note.read_text(encoding="utf-8")
    if of is not None:
        return words == _WORDS.format(name=of)
    return words.startswith(before) and words.endswith(after)
