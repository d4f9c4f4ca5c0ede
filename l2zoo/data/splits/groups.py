"""What belongs together: the group of each example, by a pattern of file names or by a table."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.data.images import ImageData
from l2zoo.utils.storage.reading import read_rows

_COLUMNS = ("file", "group")


def find_groups(data: ImageData, groups: Any) -> np.ndarray:
    r"""The group of each example `(N,)`.

    Args:
        data: Of a folder, or arrays.
        groups: For a folder a regular expression with one group, which is searched in each file's path from
            the folder on, as in `r"patient(\d+)"`; or the path of a CSV table with the columns `file` (that
            path, or the file's name alone) and `group`. For arrays the groups themselves `(N,)`.

    Raises:
        ValueError: A file that the pattern or the table says nothing of, or neither was given.
        FileNotFoundError: There is no such table.
    """
    files = getattr(data.source, "files", None)
    if files is None:
        return _of_arrays(data, groups)
    root = Path(data.name.removeprefix("folder:")).expanduser()
    names = [Path(os.path.relpath(file, root)).as_posix() for file in files]
    if not isinstance(groups, str | os.PathLike):
        raise TypeError(
            "`groups` of a folder must be a regular expression or the path of a CSV table, got "
            f"{type(groups).__name__}."
        )
    table = str(groups).lower().endswith(".csv")
    return _by_table(names, Path(groups).expanduser()) if table else _by_pattern(names, str(groups))


def _of_arrays(data: ImageData, groups: Any) -> np.ndarray:
    if isinstance(groups, str | os.PathLike) or data.name != "arrays":
        raise ValueError(
            f"`groups` must be a pattern or a table for a folder, and for arrays the groups (N,) "
            f"themselves; got groups={groups!r} for {data.name}."
        )
    found = np.asarray(groups)
    if found.shape != (data.num_examples,):
        raise ValueError(
            f"`groups` must say of each of the {data.num_examples} examples what it belongs to, shape "
            f"({data.num_examples},), got shape={found.shape}."
        )
    return found


def _by_pattern(names: list[str], pattern: str) -> np.ndarray:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"`groups` must be a regular expression, got {pattern!r}: {error}.") from error
    if compiled.groups != 1:
        raise ValueError(
            f"`groups` must have one pair of parentheses, around what tells a group, as in 'patient(\\d+)'; "
            f"got {pattern!r} with {compiled.groups}."
        )
    matches = [compiled.search(name) for name in names]
    for name, match in zip(names, matches, strict=True):
        if match is None or match[1] is None:
            raise ValueError(f"`groups` {pattern!r} is not found in {name}: every file must tell its group.")
    return np.array([match[1] for match in matches if match])


def _by_table(names: list[str], table: Path) -> np.ndarray:
    if not table.is_file():
        raise FileNotFoundError(
            f"There is no table {table}: `groups` needs a CSV file with {_COLUMNS[0]},{_COLUMNS[1]}."
        )
    try:
        rows = read_rows(table, _COLUMNS)
    except ValueError as error:
        raise ValueError(f"`groups` {error}") from error
    known = {row["file"].replace("\\", "/"): row["group"] for row in rows}
    found = [known.get(name, known.get(Path(name).name)) for name in names]
    for name, group in zip(names, found, strict=True):
        if not group:
            raise ValueError(f"`groups` {table} says nothing of {name}: every file must have its group.")
    return np.array(found)
