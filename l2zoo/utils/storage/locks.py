"""Files and folders that belong to one process at a time.

A lock is a small file that says who holds it, and that the system lets go of when its holder dies. It is
there only while it is held; whoever takes one looks whether it is still the file of that name, as the holder
before may have deleted it meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".l2zoo-lock"
"""What the names of locks end in."""
_WORDS = "held by process "  # what a lock of ours begins with
_LONGEST = 200  # characters of a lock that are read
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # of file systems that have none
_HELD = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK}


def lock_of(path: Path) -> Path:
    """The lock that `exclusive` holds: a hidden file beside a file or folder."""
    return path.with_name(f".{path.name}{SUFFIX}")


@contextlib.contextmanager
def exclusive(path: str | Path, *, wait: bool = False) -> Iterator[bool]:
    """Holds `path` for this block alone: whoever else asks for it meanwhile is refused, or waits.

    A file system without locks, as some in networks are, holds nobody off.

    Args:
        path: A file or a folder, which need not be there; the folder it lies in must be.
        wait: Whether to wait for another holder instead of being refused.

    Yields:
        Whether others are really held off.

    Raises:
        ValueError: Another process, or another block of this one, holds it; or something else has the name
            of the lock.
        OSError: The lock cannot be written.
    """
    path = Path(path)
    with contextlib.ExitStack() as held:
        try:
            certain = held.enter_context(hold(lock_of(path), wait=wait))
        except HeldError as error:
            raise ValueError(
                f"{path} is being written by another process now{error}. Wait for it to end, or choose "
                "another name."
            ) from None
        yield certain


class HeldError(Exception):
    """Somebody else has the lock; as text, who, in brackets, as far as it can be read."""

    def of_folder(self, folder: Path, argument: str) -> ValueError:
        """The error of a folder that is held; `argument` is what the caller of a public function calls it."""
        return ValueError(
            f"`{argument}` belongs to another process now{self}, got {argument}={str(folder)!r}. Wait for it "
            "to end, or choose another folder."
        )


def hold(lock: Path, *, wait: bool = False) -> contextlib.AbstractContextManager[bool]:
    """Holds a lock file for a block, which gets whether that holds others off.

    Raises:
        HeldError: Somebody else has it.
        ValueError: There is another file of that name.
        OSError: It cannot be written.
    """
    return _flock(lock, wait=wait) if fcntl else _filelock(lock, wait=wait)


@contextlib.contextmanager
def _flock(lock: Path, *, wait: bool) -> Iterator[bool]:
    descriptor = _take(lock, wait=wait)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        if _is_named(lock, descriptor):  # who has opened it already finds out in `_take`
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _take(lock: Path, *, wait: bool) -> int | None:
    """Opens and locks a file, and leaves word in it of who did; None where the file system has no locks."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_named(lock, descriptor):
                _sign(lock, descriptor)
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                _unlink_empty(lock)
                return None
            if error.errno in _HELD:
                raise HeldError(_holder(lock)) from None
            raise
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _unlink_empty(lock: Path) -> None:
    with contextlib.suppress(OSError):
        if not lock.lstat().st_size:
            lock.unlink()


def _is_named(path: Path, descriptor: int) -> bool:
    """Whether a path is the name of an open file."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sign(lock: Path, descriptor: int) -> None:
    """Writes who holds a lock. What is in a file of that name and was not written here stays.

    Raises:
        ValueError: It is somebody else's file.
    """
    there = os.pread(descriptor, _LONGEST, 0)
    if there and not there.startswith(_WORDS.encode()):
        raise ValueError(f"{lock} has the name of a lock and is none. Move it away, or choose another name.")
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    with contextlib.suppress(OSError):  # a full disk hinders nobody from holding a lock
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_WORDS}{os.getpid()} on {socket.gethostname()} since {now}\n".encode(), 0)


def _holder(lock: Path) -> str:
    """Who holds a lock, in words to follow others."""
    try:
        with lock.open("rb") as file:
            words = file.read(_LONGEST).decode("utf-8", errors="replace").strip()
    except OSError:  # it was let go of, or Windows keeps it closed
        return ""
    return f" ({words})" if words.startswith(_WORDS) and words.isprintable() else ""


@contextlib.contextmanager
def _filelock(lock: Path, *, wait: bool) -> Iterator[bool]:
    """Where the system has no `flock`. Such a lock deletes its file itself."""
    import filelock

    held = filelock.FileLock(lock)
    try:
        held.acquire(timeout=-1 if wait else 0)
    except filelock.Timeout:
        raise HeldError(_holder(lock)) from None
    try:
        yield True
    finally:
        held.release()
