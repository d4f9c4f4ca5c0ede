"""What is kept of trainings on the disk: a ledger, a line for each, and the weights that others go on from.

Only whole lines count: a writer killed in the middle loses the training it was writing and no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.engine.record import Record, State, Unit, decode, encode
from l2zoo.utils.storage.earlier_run import OtherRunError
from l2zoo.utils.storage.files import as_value_errors, replacing, sync
from l2zoo.utils.storage.locks import exclusive
from l2zoo.utils.storage.reading import parse_json, read_arrays

FORMAT = "l2zoo-ledger"
VERSION = 1
_BEGINNING = b'{"format": "' + FORMAT.encode() + b'"'  # of every ledger
_STATE = re.compile(r"[0-9a-f]{32}\.npz")


class Ledger:
    """An append-only file of JSON lines: the settings of the search, then a line per training.

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
        ValueError: The settings differ from those of the file, the file is damaged elsewhere than at its torn
            end, or it is no ledger.
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
        sync(self.path.parent)

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
        with exclusive(self.path, wait=True):
            file = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o666)
            try:
                self._read(file)
                yield file
            finally:
                os.close(file)

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
                    self._check_torn(line)
                    break
                self._take(line, number=self._lines + 1)
                self._lines += 1
                self._end += len(line)

    def _check_torn(self, line: bytes) -> None:
        """Raises if a line without an end is not what a killed writer leaves: it will be written over."""
        if self._lines == 0 and line[: len(_BEGINNING)] != _BEGINNING[: len(line)]:
            raise ValueError(
                f"{self.path} is no ledger of l2zoo's, but has its name: {line[:60]!r}. Choose another "
                "directory, or move the file away."
            )

    def _take(self, line: bytes, *, number: int) -> None:
        """Reads one whole line into memory."""
        try:
            with as_value_errors("it cannot be understood"):
                content = parse_json(line, where="it")
                if number > 1:
                    record = decode(content)
                    self._found.setdefault(record.unit, record)
                elif content["format"] != FORMAT or not isinstance(content["settings"], dict):
                    raise ValueError(f"the first line does not say {FORMAT}, and its settings")
        except ValueError as error:
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
        there, here = header["settings"], self.settings
        differing = [
            f"{name} is {_show(there, name)} there and {_show(here, name)} here"
            for name in sorted(there.keys() | here.keys())
            if _show(there, name) != _show(here, name)
        ]
        if differing:
            raise OtherRunError(
                f"{self.path} is the ledger of another search: {'; '.join(differing)}.",
                step="Use another directory, or start over with resume=False, which keeps the file as "
                f"{self._backup().name}.",
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


class States:
    """A folder with the state at the end of a unit in a file each. One that is lost costs a whole training.

    Args:
        folder: Where; it is made when the first state is saved.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder).absolute()

    def save(self, unit: Unit, state: State) -> None:
        """Writes the state at the end of a unit.

        Raises:
            OSError: The disk is full or cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(unit)) as temporary, temporary.open("wb") as file:
            np.savez(file, *state)

    def load(self, unit: Unit) -> State | None:
        """The state at the end of a unit; None if it is lost or damaged."""
        path = self._path(unit)
        with contextlib.suppress(ValueError):
            arrays = read_arrays(path, where=str(path))
            with as_value_errors(f"{path} is no state"):
                return [arrays[f"arr_{number}"] for number in range(len(arrays))]
        return None

    def clear(self) -> None:
        """Deletes them all, and nothing else: the search is over."""
        if not self._folder.is_symlink():
            for path in self._folder.glob("*.npz"):
                if _STATE.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is none, or something else is in it
            self._folder.rmdir()

    def _path(self, unit: Unit) -> Path:
        return self._folder / f"{hashlib.sha256(repr(unit).encode()).hexdigest()[:32]}.npz"


def _dump(value: dict[str, Any]) -> str:
    """One line of JSON, in which every float reads back as exactly itself."""
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"`settings` must hold JSON values, got {value!r} of type {type(value).__name__}.")


def _show(settings: dict[str, Any], name: str) -> str:
    return json.dumps(settings[name], sort_keys=True) if name in settings else "absent"
