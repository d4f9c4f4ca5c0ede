"""The ledger of a search: every finished training is one line in a file, on the disk before the next begins.

Only whole lines count: a writer killed in the middle loses the training it was writing and no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.engine.record import Record, Unit, decode, encode

if sys.platform != "win32":
    import fcntl

FORMAT = "l2zoo-ledger"
VERSION = 1


class Ledger:
    """An append-only file of JSON lines: the settings of the search, then a line per finished training.

    What is in the file is `records`, in the order of the file; where a unit stands twice, the first counts.
    The file is open, and locked against other writers, only while something is written, so there is nothing
    to close.

    Args:
        path: The file; it is made, with its folders, if it is not there.
        settings: All that the scores depend on, as JSON values: strengths, folds, seeds, epochs, the
            `fingerprint` of the data. A file with other settings is refused.
        resume: Whether to go on with a file that is there. False starts over and keeps the old file under a
            numbered name, as in `ledger.jsonl.1`.

    Raises:
        ValueError: The settings differ from those of the file, or the file is damaged elsewhere than at its
            torn end.
        OSError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger(Path(folder) / "ledger.jsonl", settings={"folds": 5})
        ...     ledger.append(Record(Unit(1e-4, fold=0, seed=0), score=0.91))
        ...     again = Ledger(Path(folder) / "ledger.jsonl", settings={"folds": 5})
        ...     again.get(Unit(1e-4, fold=0, seed=0)).score
        0.91
    """

    def __init__(self, path: str | Path, *, settings: dict[str, Any], resume: bool = True) -> None:
        self.path = Path(path).absolute()  # whoever changes directory meanwhile
        self.settings: dict[str, Any] = json.loads(_dump(settings))
        self._found: dict[Unit, Record] = {}
        self._end = 0  # bytes of the file that are read and whole
        self._lines = 0
        if not resume and self.path.exists():
            self.path.rename(self._backup())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(os.O_RDWR | os.O_CREAT) as file:
            if self._end == 0:  # new, or killed before its first line was whole
                header = {"format": FORMAT, "version": VERSION, "settings": self.settings}
                self._write(file, _dump(header))
                self._lines = 1
        _sync_folder(self.path.parent)

    @property
    def records(self) -> list[Record]:
        """All finished and failed trainings, in the order in which they were written."""
        return list(self._found.values())

    def get(self, unit: Unit) -> Record | None:
        """The record of a unit, or None while it has none."""
        return self._found.get(unit)

    def append(self, record: Record) -> None:
        """Writes one record; it is on the disk when this returns. A unit that is there already is left alone.

        Args:
            record: What came out of one training.

        Raises:
            OSError: The disk is full or the file cannot be written. What was written before stays readable.
        """
        line = _dump(encode(record))
        with self._locked(os.O_RDWR) as file:
            if record.unit in self._found:
                return
            self._write(file, line)
        self._lines += 1
        self._found[record.unit] = record

    @contextlib.contextmanager
    def _locked(self, flags: int) -> Iterator[int]:
        """Opens the file for this writer alone, up to date: with the lines that others wrote meanwhile."""
        file = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o666)
        try:
            if sys.platform != "win32":
                with contextlib.suppress(OSError):  # some network file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX)
            self._read(file)
            yield file
        finally:
            os.close(file)  # gives the lock back

    def _read(self, file: int) -> None:
        size = os.fstat(file).st_size
        if size < self._end:
            raise ValueError(
                f"{self.path} became shorter while the search was writing to it: {self._end}, now {size} "
                "bytes. Was it replaced? Run the search again to go on with what is there."
            )
        os.lseek(file, self._end, os.SEEK_SET)
        with os.fdopen(os.dup(file), "rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    break  # torn: its writer was killed
                self._take(line, number=self._lines + 1)
                self._lines += 1
                self._end += len(line)

    def _take(self, line: bytes, *, number: int) -> None:
        """Reads one whole line into memory."""
        try:
            content = json.loads(line.decode("utf-8"))
            if number > 1:
                record = decode(content)
                self._found.setdefault(record.unit, record)
            elif content["format"] != FORMAT:
                raise ValueError(f"the first line does not say {FORMAT}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"Line {number} of {self.path} cannot be read as a line of a ledger: {line[:60]!r}. Delete "
                "it if its training may run again, or start over with resume=False, which keeps the file."
            ) from error
        if number == 1:
            self._check_header(content)

    def _check_header(self, header: dict[str, Any]) -> None:
        if header.get("version") != VERSION:
            raise ValueError(
                f"{self.path} has version {header.get('version')!r}; this l2zoo reads version {VERSION}. "
                "Go on with the l2zoo that wrote it, or start over with resume=False, which keeps the file."
            )
        there, here = header.get("settings", {}), self.settings
        differing = [
            f"{name} is {_show(there, name)} there and {_show(here, name)} here"
            for name in sorted(there.keys() | here.keys())
            if _show(there, name) != _show(here, name)
        ]
        if differing:
            raise ValueError(
                f"{self.path} is the ledger of another search: {'; '.join(differing)}. Use another "
                f"directory, or start over with resume=False, which keeps the file as {self._backup().name}."
            )

    def _write(self, file: int, text: str) -> None:
        """Writes one whole line behind the last whole one, or leaves the file as it was."""
        data = text.encode() + b"\n"
        try:
            os.ftruncate(file, self._end)
            os.lseek(file, self._end, os.SEEK_SET)
            written = 0
            while written < len(data):
                written += os.write(file, data[written:])
            os.fsync(file)
        except OSError as error:
            with contextlib.suppress(OSError):  # a torn line is dropped on reading as well
                os.ftruncate(file, self._end)
            raise OSError(
                error.errno,
                f"{os.strerror(error.errno or 0)}: a training could not be recorded. The {len(self._found)} "
                "recorded before it are safe: make room, then run the same command again to go on from there",
                str(self.path),
            ) from error
        self._end += len(data)

    def _backup(self) -> Path:
        number = 1
        while (backup := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        return backup


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 over shapes, types and values: equal if and only if the data are.

    Args:
        arrays: Numeric arrays of any shape.

    Raises:
        TypeError: An array holds Python objects.

    Example:
        >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3)), fingerprint(np.arange(4))[:6]
        (True, 'cad1ae')
    """
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype.hasobject:
            raise TypeError(f"`arrays` must be numeric, got dtype={array.dtype}.")
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _dump(value: dict[str, Any]) -> str:
    """One line of JSON, in which every float reads back as exactly itself."""
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"`settings` must hold JSON values, got {value!r} of type {type(value).__name__}.")


def _show(settings: dict[str, Any], name: str) -> str:
    return json.dumps(settings[name], sort_keys=True) if name in settings else "absent"


def _sync_folder(folder: Path) -> None:
    """Puts the name of a new file on the disk; Windows does that by itself and has no way to ask for it."""
    if sys.platform != "win32":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
