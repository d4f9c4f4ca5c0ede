"""The manifest: what is in an artifact's folder, byte for byte.

The manifest carries the SHA-256 of its own text too, so that a change anywhere in the folder shows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from l2zoo.artifacts import manifest_schema
from l2zoo.artifacts.store import versions

FILE = "manifest.json"
SIGNATURE = "model.sig"  # signs all the others, so it cannot be among them
VERSION = 2
_LARGEST = 16 * 2**20  # bytes; ours have a few thousand


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` as the folder's manifest, with the digest of its own text as the last entry."""
    text = _text({**content, "sha256": _digest(content)})
    (folder / FILE).write_text(text, encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Reads a folder's manifest; that of an older version in today's words.

    Raises:
        FileNotFoundError: There is no such folder, or no manifest in it.
        ValueError: The manifest is not what `write` wrote, of another format version, or of another form.
    """
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"`folder` must be an artifact's folder with a {FILE} in it, got folder={str(folder)!r}. "
            "Artifacts are written by `l2zoo.export`."
        )
    content = _parsed(path)
    version = content.get("format_version")
    if version not in range(1, VERSION + 1):
        raise ValueError(
            f"{FILE} has format version {version!r}, this l2zoo reads 1 to {VERSION}. "
            "Update l2zoo, or export the model again."
        )
    found = versions.in_words_of_2(content) if version == 1 else content
    manifest_schema.check(found)
    return found


def _parsed(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{FILE} is larger than {_LARGEST} bytes: it is not one of ours.")
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
        body = {key: value for key, value in content.items() if key != "sha256"}
        whole = text == _text(content) and content["sha256"] == _digest(body)
    except (ValueError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{FILE} is damaged: {error!r}. Export the model again.") from error
    if not whole:
        raise ValueError(f"{FILE} was changed after it was written. Export the model again.")
    return content


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(content).encode("utf-8")).hexdigest()


def file_table(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below `folder`, by relative path; manifest and signature apart.

    Raises:
        ValueError: Something in the folder is neither a file nor a folder (a link may lead out of it).
    """
    return {
        path: {"bytes": (folder / path).stat().st_size, "sha256": _sha256(folder / path)}
        for path in _paths(folder)
    }


def check_files(folder: Path, files: Any) -> None:
    """Compares the folder with its file table: names, then sizes, then digests. Opens files as bytes only.

    Raises:
        ValueError: A file is missing, additional or changed, or a path leads out of the folder.
    """
    if not isinstance(files, dict) or not all(
        isinstance(row, dict) and {"bytes", "sha256"} <= row.keys() for row in files.values()
    ):
        raise ValueError(f"`files` in {FILE} must give bytes and sha256 of every file. Export again.")
    climbing = [name for name in files if not _stays_inside(name)]
    if climbing:
        raise ValueError(f"{FILE} names paths outside its folder: {climbing[:3]}. Do not use this artifact.")
    found = _paths(folder)
    problems = [f"{name} is missing" for name in files if name not in set(found)]
    problems += [f"{name} does not belong to it" for name in found if name not in files]
    problems += [
        f"{name} was changed"
        for name in found
        if name in files
        and (
            (folder / name).stat().st_size != files[name]["bytes"]
            or _sha256(folder / name) != files[name]["sha256"]
        )
    ]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise ValueError(
            f"The artifact in {str(folder)!r} is not what was written: {shown}. "
            "Nothing in it was opened. Take a fresh copy, or export the model again."
        )


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and str(path) == name


def _paths(folder: Path) -> list[str]:
    """Relative paths of the files below `folder` that the manifest speaks of, sorted."""
    paths = []
    for top, folders, files in os.walk(folder):
        for name in folders + files:
            entry = Path(top, name)
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                raise ValueError(
                    f"An artifact holds plain files only, got {entry.relative_to(folder).as_posix()!r} in "
                    f"{str(folder)!r}. Remove it, or export the model again."
                )
        paths += [Path(top, name).relative_to(folder).as_posix() for name in files]
    return sorted(path for path in paths if path not in (FILE, SIGNATURE))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
