"""One reader for each format of a file that may hold anything: what it gives is sound, or it is a ValueError.

Files are damaged by full disks and failing ones, by other programs and by hand, and each library has its own
errors for that: of archives, of memory, of recursion, of numbers too large.
"""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from l2zoo.utils.storage.files import as_value_errors

NUMBERS = "biuf"
"""Kinds of arrays that hold numbers, as NumPy calls them."""


def read_bytes(path: Path, *, largest: int | None = None) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or has more than `largest` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read() if largest is None else file.read(largest + 1)
    except FileNotFoundError:
        raise
    except (OSError, MemoryError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', '') or error}.") from error
    if largest is not None and len(content) > largest:
        raise ValueError(f"{path} cannot be read: it has more than {largest:,} bytes.")
    return content


def read_text(path: Path) -> str:
    """The content of a text file in UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 ({error}): save it so.") from error


def parse_json(text: str | bytes, *, where: str, finite: bool = True) -> Any:
    """The value of a JSON text, in which every number is one that a float can hold.

    Args:
        text: The text; bytes are UTF-8.
        where: What it is, for errors.
        finite: Whether NaN and infinities, which Python writes and JSON does not know, are refused.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or holds a number without end or none at all.

    Example:
        >>> parse_json('{"l2": 1e999}', where="config.json")
        Traceback (most recent call last):
        ValueError: config.json cannot be read as JSON: 1e999 is no finite number.
    """
    with as_value_errors(f"{where} cannot be read as JSON"):
        words = text.decode("utf-8") if isinstance(text, bytes) else text
        constant = _float if finite else float
        return json.loads(words, parse_int=_integer, parse_float=_float, parse_constant=constant)


def read_json(path: Path, *, finite: bool = True, largest: int | None = None) -> Any:
    """The value in a JSON file, by `parse_json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or is no JSON.
    """
    return parse_json(read_bytes(path, largest=largest), where=str(path), finite=finite)


def read_object(path: Path, *names: str, finite: bool = True) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: The file.
        names: What it must hold, each an object too.
        finite: As in `parse_json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or holds something else.
    """
    value = read_json(path, finite=finite)
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold an object, it holds {_kind(value)}.")
    for name in names:
        if not isinstance(value.get(name), dict):
            raise ValueError(f"{path} must hold an object {name!r}, it holds {_kind(value.get(name))} there.")
    return value


def read_arrays(
    source: Path | bytes, *, where: str, kinds: str = NUMBERS, unpacked: int | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` archive. Nothing is unpickled.

    Args:
        source: The file, or its content.
        where: What it is, for errors.
        kinds: Of arrays that may be in it, by NumPy's letters.
        unpacked: Bytes that it may unpack to; by default as many as it has, as NumPy does not compress.

    Raises:
        ValueError: There is no such archive, it is damaged, is larger, or holds something else.
    """
    with as_value_errors(f"{where} cannot be read"), _open(source) as file:
        size = file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            found = sum(entry.file_size for entry in archive.infolist())
        largest = size if unpacked is None else unpacked
        if found > largest:
            raise ValueError(f"it unpacks to {found:,} bytes, more than {largest:,}")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        wrong = [n for n, a in arrays.items() if not isinstance(a, np.ndarray) or a.dtype.kind not in kinds]
        if wrong:
            raise ValueError(f"it holds something else than numbers: {wrong[0]!r}")
    return arrays


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV table with a head; what a short row lacks is empty.

    Args:
        path: The table, in UTF-8.
        columns: That it must have.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or lacks a column.
    """
    text = read_text(path)
    with as_value_errors(f"{path} cannot be read as CSV"):
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        names = reader.fieldnames or ()
        rows = list(reader)
    if not set(columns) <= set(names):
        raise ValueError(f"{path} must have the columns {' and '.join(columns)}, got {', '.join(names)}.")
    return rows


def _open(source: Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) <= 310 else math.inf  # the largest float has 309 digits
    try:
        float(number)
    except OverflowError:
        number = math.inf
    if isinstance(number, float):
        raise ValueError(f"{digits[:20]}... is too large a number")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is no finite number")
    return number


def _kind(value: Any) -> str:
    """What a JSON value is, in JSON's words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
