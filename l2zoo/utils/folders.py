"""A folder that is written whole or not at all.

Everything is written into a hidden sibling, `.NAME.partial`, synced to the disk, and moved to its name in the
last step; an old folder is put aside there just before. Whoever is killed leaves the old folder or the new
one; only between these two renames it leaves none, and who writes next puts the old one back first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from l2zoo.utils.files import exclusive, sync


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
    with exclusive(folder):
        _settle(staging, folder)
        _check_free(folder, overwrite=overwrite, mark=mark)
        fresh, scratch = staging / "new", staging / "scratch"
        fresh.mkdir(parents=True)
        scratch.mkdir()
        try:
            yield fresh, scratch
            _sync_all(fresh)
            if folder.exists():
                os.replace(folder, staging / "old")
            os.replace(fresh, folder)
            sync(folder.parent)
        finally:
            _settle(staging, folder)


def _settle(staging: Path, folder: Path) -> None:
    """Removes the staging folder; an old folder that was put aside and not replaced goes back first."""
    aside = staging / "old"
    if aside.exists() and not folder.exists():
        os.replace(aside, folder)
    if staging.exists():
        shutil.rmtree(staging)


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


def _sync_all(folder: Path) -> None:
    """Brings every file and every folder below to the disk: names must never outlive their content."""
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(path, name))
        sync(Path(path))
