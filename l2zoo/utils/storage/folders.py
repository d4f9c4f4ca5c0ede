"""A folder that is written whole or not at all.

It is written under a fresh, hidden name beside its own, synced to the disk, and gets its name in the last
step. On Linux old and new change places in one step, so whoever looks finds one of the two. Where the system
has no such step (macOS, Windows, some file systems in networks), the old folder is put aside just before: for
that moment the name is free. `read_whole` waits until it has passed, other readers find nothing; a writer
killed in it leaves none, which the next one puts right first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from l2zoo.utils.storage.exchange import exchange
from l2zoo.utils.storage.files import check_disk, is_full, sync, unwritable
from l2zoo.utils.storage.locks import exclusive, lock_of
from l2zoo.utils.storage.temporary import KEPT, abandoned_folders, fresh_folder, remove

T = TypeVar("T")

_TRIES, _PAUSE = 200, 0.005  # of a reader whose folder is replaced meanwhile; seconds between two


@contextlib.contextmanager
def whole_folder(folder: Path, *, overwrite: bool, mark: str, room: int = 0) -> Iterator[tuple[Path, Path]]:
    """Gives a folder to fill; at the end of the block it takes the name `folder`.

    When the block raises, `folder` is as it was before. What a killed run left behind is put right first.

    Args:
        folder: The name in the end. Missing parents are made.
        overwrite: Whether a `folder` that exists already may be replaced.
        mark: Name of the file by which a folder of ours is known; no other folder is ever replaced.
        room: Bytes that it will take at least.

    Yields:
        The folder to fill, and a scratch folder beside it that vanishes.

    Raises:
        ValueError: `folder` may not be replaced, or somebody else is writing it now.
        OSError: It cannot be written.
    """
    with contextlib.ExitStack() as held:
        try:
            folder = folder.resolve()  # a link to a folder stays a link, and the folder behind it is replaced
            _check_place(folder)
            check_disk(folder, room)
            folder.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(exclusive(folder))
            _repair(folder, mark)
            _check_free(folder, folder, overwrite=overwrite, mark=mark)
            staging = held.enter_context(fresh_folder(folder.parent, of=folder.name))
            fresh, scratch = staging / "new", staging / "scratch"
            fresh.mkdir()
            scratch.mkdir()
        except OSError as error:
            raise unwritable(error, folder, "folder") from error
        try:
            yield fresh, scratch
            _sync_all(fresh)
            _check_free(folder, folder, overwrite=overwrite, mark=mark)
            aside = staging / KEPT
            _swap(fresh, folder, aside=aside, overwrite=overwrite, mark=mark)
            sync(folder.parent)
            shutil.rmtree(aside, ignore_errors=True)  # else it would be kept
        except Exception as error:
            if is_full(error):
                raise unwritable(error, folder, "folder") from error
            raise


def read_whole(read: Callable[[], T], folder: Path, *, mark: str) -> T:
    """What `read` says of a folder that `whole_folder` may replace meanwhile: the old one or the new one.

    Args:
        read: Reads; it is called again where the folder was replaced under it.
        folder: What it reads.
        mark: Name of the file by which such a folder is known.

    Raises:
        ValueError: The folder never stays as long as it takes to read it; or `read` raises this.
    """
    for attempt in range(_TRIES):
        before = _identity(folder, mark)
        try:
            found = read()
        except (OSError, ValueError):
            if _identity(folder, mark) == before and not _is_between(folder):
                raise
            if attempt == _TRIES - 1:
                raise
        else:
            if _identity(folder, mark) == before:
                return found
        time.sleep(_PAUSE)
    raise ValueError(f"{folder} is replaced faster than it can be read. Stop whoever writes it.")


def _identity(folder: Path, mark: str) -> Any:
    """What is another once the folder was replaced; None where there is none."""
    try:
        whole, one = os.stat(folder), os.stat(folder / mark)
    except OSError:
        return None
    return whole.st_dev, whole.st_ino, one.st_ino, one.st_mtime_ns, one.st_ctime_ns, one.st_size


def _is_between(folder: Path) -> bool:
    """Whether the name is free because a writer has just put the old folder aside."""
    return not folder.exists() and lock_of(folder.resolve()).exists()


def check_replaceable(folder: Path, *, mark: str) -> None:
    """Raises before long work what `whole_folder` would say after it of a folder that it is to replace.

    Raises:
        ValueError: There is a file of that name, or a folder without the `mark` of ours.
    """
    _check_free(folder, folder, overwrite=True, mark=mark)


def _check_place(folder: Path) -> None:
    """Raises where no folder can be made whole, whatever will be in it."""
    if not folder.name:
        raise ValueError(f"`folder` must be the name of a folder to make, got folder={str(folder)!r}.")
    if os.path.ismount(folder):
        raise ValueError(
            f"`folder` must be one that can be replaced, got the mount point folder={str(folder)!r}. Choose "
            "a folder in it."
        )


def _check_free(there: Path, folder: Path, *, overwrite: bool, mark: str) -> None:
    """Raises unless what lies `there`, under the name `folder` or just taken from it, may be replaced."""
    if not there.exists():
        return
    if not there.is_dir():
        raise ValueError(f"`folder` must not be a file, got folder={str(folder)!r}.")
    if not any(there.iterdir()):
        return
    if not overwrite:
        raise ValueError(
            f"`folder` exists already, got folder={str(folder)!r}. "
            "Choose another name, or pass overwrite=True to replace it."
        )
    if not (there / mark).is_file():
        raise ValueError(
            f"`folder` holds no {mark}, so it is not an artifact and is not replaced, "
            f"got folder={str(folder)!r}. Choose another name."
        )


def _repair(folder: Path, mark: str) -> None:
    """Removes what killed writers left; an old folder that was put aside and not replaced goes back first."""
    for left in abandoned_folders(folder.parent, of=folder.name):
        aside = left / KEPT
        if aside.is_dir() and not folder.exists():
            os.rename(aside, folder)
        remove(left)


def _swap(fresh: Path, folder: Path, *, aside: Path, overwrite: bool, mark: str) -> None:
    """Gives `fresh` the name `folder`; what had it is in the staging folder afterwards."""
    if not folder.exists():
        os.rename(fresh, folder)
    elif exchange(fresh, folder):
        try:
            _check_free(fresh, folder, overwrite=overwrite, mark=mark)  # what was there in that very moment
        except ValueError:
            exchange(fresh, folder)
            raise
    else:
        os.rename(folder, aside)
        try:
            os.rename(fresh, folder)
        except BaseException:
            if not folder.exists():
                os.rename(aside, folder)
            raise


def _sync_all(folder: Path) -> None:
    """Brings every file and every folder below to the disk: names must never outlive their content."""
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(path, name))
        sync(Path(path))
