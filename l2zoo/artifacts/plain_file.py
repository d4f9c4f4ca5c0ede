"""Reads the files of an artifact as bytes, whatever somebody puts in their place meanwhile.

Between the look at a folder and the opening of a file in it, another process may swap the file. So each is
opened once, without following a link and without waiting for who writes into a pipe, and what is read, hashed
and handed on are the same bytes. They are read, never mapped: who shortens a mapped file ends the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from l2zoo.utils.console import printable

_STEP = 2**20  # bytes that are read at once


def read(path: Path, *, most: int) -> bytes | None:
    """All bytes of a file; None if there are more than `most`.

    Raises:
        ValueError: It is no plain file, or none that can be read.
    """
    with _open(path) as file:
        found = file.read(most + 1)
    return None if len(found) > most else found


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        ValueError: It is no plain file, or none that can be read.
    """
    with _open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(path: Path, target: Path, *, most: int) -> str | None:
    """Copies a file, at most so many bytes of it, and gives the SHA-256 of what was copied.

    Raises:
        ValueError: It is no plain file, or none that can be read.
    """
    found = hashlib.sha256()
    with _open(path) as file, target.open("xb") as copied:
        while part := file.read(min(_STEP, most + 1)):
            most -= len(part)
            if most < 0:
                return None
            found.update(part)
            copied.write(part)
    return found.hexdigest()


@contextlib.contextmanager
def _open(path: Path) -> Iterator[io.BufferedReader]:
    name = printable(path.name)
    flags = (os.O_RDONLY, *(getattr(os, one, 0) for one in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")))
    try:
        descriptor = os.open(path, sum(flags))
    except OSError as error:
        raise ValueError(f"{name} is no plain file that can be read ({error.strerror}).") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{name} is no plain file.")
        yield file
