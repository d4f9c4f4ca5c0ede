"""A folder that is written whole or not at all.

Everything is written into a hidden sibling, `.NAME.partial`, synced to the disk, and moved to its name in
the last step. A reader, and whoever comes after a kill or a full disk, finds the old folder or the new one.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100  # "relative to the working directory", from Linux's fcntl.h
_RENAME_EXCHANGE = 2  # from Linux's fs.h


@contextlib.contextmanager
def whole_folder(folder: Path, *, overwrite: bool, mark: str) -> Iterator[tuple[Path, Path]]:
    """Gives a folder to fill; at the end of the block it takes the name `folder`.

    When the block raises, `folder` is as it was before. What a killed run left behind is put right first.

    Args:
        folder: The name in the end. Missing parents are made.
        overwrite: Whether a `folder` that exists already may be replaced.
        mark: Name of the file by which a folder of ours is known; no other folder is ever replaced.

    Yields:
        The folder to fill, and a scratch folder beside it that vanishes.

    Raises:
        ValueError: `folder` may not be replaced, or somebody else is writing it now.
    """
    folder = folder.resolve()  # a link to a folder stays a link, and the folder behind it is replaced
    if not folder.name:
        raise ValueError(f"`folder` must be the name of a folder to make, got folder={str(folder)!r}.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.parent / f".{folder.name}.partial"
    with _alone_in(staging, folder):
        _settle(staging, folder)
        _check_free(folder, overwrite=overwrite, mark=mark)
        fresh, scratch = staging / "new", staging / "scratch"
        fresh.mkdir()
        scratch.mkdir()
        try:
            yield fresh, scratch
            _sync(fresh)
            _move_in(fresh, folder, aside=staging / "old")
            _sync_entry(folder.parent)
        finally:
            _settle(staging, folder)


@contextlib.contextmanager
def _alone_in(staging: Path, folder: Path) -> Iterator[None]:
    """Holds the lock on the staging folder. The system lets go of it when the process dies."""
    staging.mkdir(exist_ok=True)
    descriptor = os.open(staging, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"`folder` is being written by another process now, got folder={str(folder)!r}. "
                "Wait for it to end, or choose another name."
            ) from None
        try:
            yield
        finally:
            staging.rmdir()
    finally:
        os.close(descriptor)


def _settle(staging: Path, folder: Path) -> None:
    """Empties the staging folder; an old folder that was moved aside and not replaced goes back first."""
    aside = staging / "old"
    if aside.exists() and not folder.exists():
        aside.rename(folder)
    for entry in staging.iterdir():
        shutil.rmtree(entry)


def _check_free(folder: Path, *, overwrite: bool, mark: str) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"`folder` must not be a file, got folder={str(folder)!r}.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise ValueError(
            f"`folder` exists already, got folder={str(folder)!r}. "
            "Choose another name, or pass overwrite=True to replace it."
        )
    if not (folder / mark).is_file():
        raise ValueError(
            f"`folder` holds no {mark}, so it is not an artifact and is not replaced, "
            f"got folder={str(folder)!r}. Choose another name."
        )


def _move_in(fresh: Path, folder: Path, *, aside: Path) -> None:
    """Gives `fresh` the name `folder`, in one step where the system can."""
    if not folder.exists():
        fresh.rename(folder)
    elif not _exchange(fresh, folder):
        folder.rename(aside)
        fresh.rename(folder)


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two folders in one step, by Linux's renameat2; False where the system does not offer it."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    return renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def _sync(folder: Path) -> None:
    """Brings every file and every folder below to the disk: names must never outlive their content."""
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync_entry(Path(path, name))
        _sync_entry(Path(path))


def _sync_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
