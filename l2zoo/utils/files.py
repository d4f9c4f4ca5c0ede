"""Files that are written whole or not at all, by one process at a time, or read with one kind of error."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from l2zoo.utils.console import printable

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # what file systems answer that have none
_LONGEST = 200  # characters of an error's words


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`, with the same ending, which becomes `path` if all goes well.

    The temporary name is always the same, so that what a killed process left is overwritten. Missing
    folders are made.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as partial:
        ...     size = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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


@contextlib.contextmanager
def exclusive(path: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Holds `path` for this block alone: whoever else asks for it meanwhile is refused, or waits.

    The lock is a hidden file beside `path`, `.NAME.lock`, that the system lets go of when its process dies.
    A file system without locks, as some in networks are, holds nobody off.

    Args:
        path: A file or a folder, which need not be there; the folder it lies in must be.
        wait: Whether to wait for another holder instead of being refused.

    Raises:
        ValueError: Another process, or another block of this one, holds it.
    """
    import filelock

    path = Path(path)
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except filelock.Timeout:
        raise ValueError(
            f"{path} is being written by another process now. Wait for it to end, or choose another name."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps a file that is open; filelock deletes it there
            os.unlink(lock.lock_file)
        lock.release()


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
