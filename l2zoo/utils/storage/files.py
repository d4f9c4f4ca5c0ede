"""Files that are written whole or not at all, and what goes wrong with files, as one kind of error."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from l2zoo.utils.console import printable
from l2zoo.utils.storage.temporary import fresh_folder

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CANNOT = "cannot be written"
_INSIDE = 150  # characters that names inside of a folder take: those of a SavedModel are the longest
_LONGEST = 200  # characters of an error's words


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a name of its own on the same disk, with the same ending, which becomes `path` if all goes well.

    Missing folders are made. Two processes that write one file do not see each other: the last one counts.

    Raises:
        OSError: It cannot be written, as on a full disk. What was there before is unchanged then.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as partial:
        ...     size = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh_folder(path.parent, of=path.name) as folder:
            partial = folder / path.name
            yield partial
            partial.replace(path)
    except Exception as error:
        if isinstance(error, OSError) or is_full(error):
            raise unwritable(error, path) from error
        raise


def is_full(error: Exception) -> bool:
    """Whether an error, of whatever library, says that there is no room on a disk."""
    return getattr(error, "errno", None) in _FULL or os.strerror(errno.ENOSPC) in str(error)


def unwritable(error: Exception, path: Path, argument: str = "") -> OSError:
    """The error of a file or folder that cannot be written, in one sentence.

    Args:
        error: What went wrong; if it is such a sentence already, it stays.
        path: What was to be written.
        argument: What the caller of a public function calls it.
    """
    if isinstance(error, OSError) and _CANNOT in str(error):
        return error
    full = is_full(error)
    number = getattr(error, "errno", None) or (errno.ENOSPC if full else errno.EIO)
    gist = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    place = f"`{argument}`" if argument else path.name
    advice = "make room, or choose another place" if full else "choose another place"
    return OSError(number, f"{place} {_CANNOT} ({gist[:_LONGEST]}): {advice}", str(path))


def check_disk(folder: Path, size: int) -> None:
    """Raises where it is known beforehand that a folder cannot be filled.

    Args:
        folder: Where files will be; need not be there. Absolute.
        size: Bytes that they will take at least.

    Raises:
        OSError: The disk has less room, or the paths of files would be too long.
    """
    there = next(each for each in (folder, *folder.parents) if each.exists())
    longest = os.pathconf(there, "PC_PATH_MAX") if hasattr(os, "pathconf") else math.inf
    if len(os.fsencode(folder)) + _INSIDE > longest:
        words = f"paths of files in it would be longer than {longest} bytes"
        raise OSError(errno.ENAMETOOLONG, words, str(folder))
    free = shutil.disk_usage(there).free
    if free < size:
        words = f"{size / 1e6:,.1f} MB are needed and {free / 1e6:,.1f} MB are free"
        raise OSError(errno.ENOSPC, words, str(folder))


def write_json(path: str | Path, value: Any, *, allow_nan: bool = True) -> None:
    """Writes a value as indented JSON, whole or not at all.

    Raises:
        ValueError: There is a NaN or an infinity in it, which are no JSON, and `allow_nan` is False.
    """
    text = json.dumps(value, indent=2, allow_nan=allow_nan)
    with replacing(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def kept_or_temporary(directory: str | Path | None) -> Iterator[Path]:
    """Gives the directory, absolute, or where there is none an empty one that is gone afterwards."""
    if directory is not None:
        yield Path(directory).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="l2zoo-") as name:
        yield Path(name)


def sync(path: Path) -> None:
    """Brings the content of a file, or the names in a folder, to the disk.

    Windows does the latter by itself and has no way to ask for it.
    """
    windows = os.name == "nt"
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def as_value_errors(words: str) -> Iterator[None]:
    """Turns whatever a `with` block raises into a ValueError, but for ImportError.

    Each framework has its own errors for files that were made to deceive: of the file system, of protocol
    buffers, of arrays, of memory.

    Args:
        words: What failed, as in `"model.tflite cannot be opened"`. A ValueError that begins with the same
            word passes as it is.

    Example:
        >>> with as_value_errors("x.bin cannot be read"):
        ...     raise RuntimeError("bad magic")
        Traceback (most recent call last):
        ValueError: x.bin cannot be read: bad magic.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(words.split()[0]):
            raise
        gist = (str(error).strip() or type(error).__name__).splitlines()[0][:_LONGEST].rstrip(".")
        raise ValueError(f"{words}: {printable(gist)}.") from error
