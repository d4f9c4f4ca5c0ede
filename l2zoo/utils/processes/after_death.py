"""A temporary folder for programs that work in it, which goes with them even if this process is killed.

Ray's own processes outlive a driver that is killed, some for long. This file is run as a program too, so it
imports nothing but Python's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

_GRACE = 1.5  # seconds in which what works in the folder may end by itself, and again after SIGTERM
_PATIENCE = 20.0  # seconds after which whatever could not be ended is left alone
_PAUSE = 0.1


@contextlib.contextmanager
def working_folder(prefix: str, *, of: str) -> Iterator[str]:
    """An empty folder with a short path, as long as the block lasts.

    When the block ends, or this process dies of whatever, another process ends those that still have files
    open in the folder, and removes it. On Windows and macOS, where nobody says who has, it is only removed.

    Args:
        prefix: How its name begins.
        of: What the command lines of such processes contain; no others are ended.
    """
    # Sockets lie in there, and the path of a socket must be short.
    folder = os.path.realpath(tempfile.mkdtemp(prefix=prefix, dir="/tmp" if os.name == "posix" else None))
    # In a session of its own: what ends this process, from a terminal or a shell, is not for the watcher.
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, folder, of],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            if watcher.stdin is not None:
                watcher.stdin.close()
        watcher.wait()


def clear(folder: str, of: str) -> None:
    """Ends those that have files open in the folder, and removes it.

    Args:
        folder: Its path, without links.
        of: What their command lines contain.
    """
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < _PATIENCE:
        left = list(_working_in(folder, of))
        if not left:
            break
        for process in left if passed > _GRACE else ():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.kill(process, signal.SIGTERM if passed < 2 * _GRACE else signal.SIGKILL)
        time.sleep(_PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


def _working_in(folder: str, of: str) -> Iterator[int]:
    """The processes with files open in a folder, as far as this user may see them."""
    for name in os.listdir("/proc") if os.path.isdir("/proc/self/fd") else ():
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):  # it has ended meanwhile, or is somebody else's
                opened = (
                    os.readlink(f"/proc/{name}/fd/{number}") for number in os.listdir(f"/proc/{name}/fd")
                )
                if any(path.startswith(folder + os.sep) for path in opened) and of in _command(name):
                    yield int(name)


def _command(process: str) -> str:
    with open(f"/proc/{process}/cmdline", "rb") as file:
        return file.read().decode(errors="replace")


if __name__ == "__main__":
    sys.stdin.buffer.read()  # until nobody is left who could write
    clear(*sys.argv[1:])
