"""The manifest: what is in an artifact's folder, byte for byte.

The manifest carries the SHA-256 of its own text too, so that a change anywhere in the folder shows. What is
read out of it is looked at first, for whoever wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from l2zoo.artifacts import plain_file, task_spec
from l2zoo.data.preprocessing.aspect import ASPECTS
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.utils.console import printable
from l2zoo.utils.storage.reading import parse_json

FILE = "manifest.json"
SIGNATURE = "model.sig"  # signs all the others, so it cannot be among them
VERSION = 3
_LARGEST = 16 * 2**20  # bytes; ours have a few thousand
_DTYPES = {"inputs": ("float32", "int32"), "outputs": ("float32", "float16", "int32", "int64", "bool")}


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` as the folder's manifest, with the digest of its own text as the last entry."""
    text = _text({**content, "sha256": _digest(content)})
    (folder / FILE).write_text(text, encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Reads a folder's manifest, and looks at the form of its entries.

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
    content = _parse(path)
    version = content.get("format_version")
    if version != VERSION:
        raise ValueError(
            f"{FILE} has format version {version!r}, this l2zoo reads {VERSION}. "
            "Update l2zoo, or export the model again."
        )
    _check_form(content)
    return content


def read_and_check(folder: Path) -> dict[str, Any]:
    """The manifest of a folder in which every file is what it was when it was written.

    Files are read as bytes only. This tells of damage; against somebody who rewrites files and manifest
    together only a signature helps.

    Raises:
        FileNotFoundError: There is no artifact in `folder`.
        ValueError: Something differs; the message says what.
    """
    content = read(folder)
    check_files(folder, content.get("files"))
    return content


def _parse(path: Path) -> dict[str, Any]:
    content = plain_file.read(path, most=_LARGEST)
    if content is None:
        raise ValueError(f"{FILE} is larger than {_LARGEST} bytes: it is not one of ours.")
    try:
        text = content.decode("utf-8")
        entries = parse_json(text, where=FILE)
        body = {key: value for key, value in entries.items() if key != "sha256"}
        whole = text == _text(entries) and entries["sha256"] == _digest(body)
    except (ValueError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{FILE} is damaged: {error!r}. Export the model again.") from error
    if not whole:
        raise ValueError(f"{FILE} was changed after it was written. Export the model again.")
    return entries


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
        path: {"bytes": (folder / path).stat().st_size, "sha256": plain_file.digest(folder / path)}
        for path in _paths(folder)
    }


def check_files(folder: Path, files: Any) -> None:
    """Compares the folder with its file table: names, then sizes, then digests. Opens files as bytes only.

    Raises:
        ValueError: A file is missing, additional or changed, or a path leads out of the folder.
    """
    if not isinstance(files, dict) or not all(
        isinstance(row, dict) and type(row.get("bytes")) is int and isinstance(row.get("sha256"), str)
        for row in files.values()
    ):
        raise ValueError(f"`files` in {FILE} must give bytes and sha256 of every file. Export again.")
    climbing = [name for name in files if not _stays_inside(name)]
    if climbing:
        raise ValueError(f"{FILE} names paths outside its folder: {climbing[:3]}. Do not use this artifact.")
    found = set(_paths(folder))
    problems = [f"{name} is missing" for name in files if name not in found]
    problems += [f"{name} does not belong to it" for name in sorted(found) if name not in files]
    problems += [
        f"{name} was changed"
        for name in sorted(found & files.keys())
        if (folder / name).stat().st_size != files[name]["bytes"]
        or plain_file.digest(folder / name) != files[name]["sha256"]
    ]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise _changed(folder, printable(shown))


def read_file(folder: Path, content: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a file of an artifact, read once: those that are given are those that were compared.

    Args:
        folder: The artifact's.
        content: Its manifest, as `read_and_check` gives it.
        name: One of its files.

    Raises:
        ValueError: The file is no longer what it was when the folder was found whole.
    """
    row = content["files"][name]
    found = plain_file.read(folder / name, most=row["bytes"])
    if found is None or len(found) != row["bytes"] or hashlib.sha256(found).hexdigest() != row["sha256"]:
        raise _changed(folder, f"{printable(name)} was changed")
    return found


def copy_files(folder: Path, content: Mapping[str, Any], target: Path, paths: Sequence[str]) -> None:
    """Copies files and folders of an artifact; what lies in the copy are the bytes that were compared.

    For libraries that insist on a path. Nobody else can write into `target` if it is a folder that
    `tempfile` made.

    Args:
        folder: The artifact's.
        content: Its manifest, as `read_and_check` gives it.
        target: A folder.
        paths: Of files, or of folders with all that is in them.

    Raises:
        ValueError: A file is no longer what it was when the folder was found whole.
    """
    for name, row in content["files"].items():
        if any(name == path or name.startswith(path + "/") for path in paths):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if plain_file.copy(folder / name, target / name, most=row["bytes"]) != row["sha256"]:
                raise _changed(folder, f"{printable(name)} was changed")


def _changed(folder: Path, what: str) -> ValueError:
    return ValueError(
        f"The artifact in {str(folder)!r} is not what was written: {what}. "
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


def _check_form(content: Mapping[str, Any]) -> None:
    """Looks at the form of a manifest's entries; one that is missing is another's matter.

    The tables `files` and `formats` are looked at where they are used.

    Raises:
        ValueError: An entry is of another form than `export` writes; the message says which.
    """
    _want(isinstance(content.get("name"), str), "name", "a text", content.get("name"))
    names = content.get("class_names")
    _want(names is None or _texts(names), "class_names", "null or a list of texts", names)
    aspect = content.get("aspect")  # older manifests have none: all was stretched
    _want(aspect is None or aspect in ASPECTS, "aspect", f"one of {list(ASPECTS)}", aspect)
    task = content.get("task")
    known = task is None or (isinstance(task, str) and task in task_spec.TASKS)
    _want(known, "task", f"null or one of {list(task_spec.TASKS)}", task)
    versions = content.get("versions")
    fine = versions is None or (isinstance(versions, dict) and _texts(list(versions.values())))
    _want(fine, "versions", "texts by name", versions)
    data = content.get("trained_on")
    _want(data is None or _is_data(data), "trained_on", "what data were trained on", data)
    for side, dtypes in _DTYPES.items():
        if side in content:
            specs = content[side]
            fine = isinstance(specs, dict) and all(_is_spec(spec, dtypes) for spec in specs.values())
            _want(fine and bool(specs), side, "shape and dtype by name", specs)
    for name, spec in content.get("outputs", {}).items():
        try:
            OutputKind.of_spec(spec)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`outputs` in the manifest: {name!r}: {error} Export the model again."
            ) from error


def _is_spec(spec: Any, dtypes: Sequence[str]) -> bool:
    if not isinstance(spec, dict) or spec.get("dtype") not in dtypes:
        return False
    shape = spec.get("shape")
    return isinstance(shape, list) and bool(shape) and all(map(_is_size, shape))


def _is_data(said: Any) -> bool:
    """Whether this is what `export` says of the data that a model was trained on."""
    if not isinstance(said, dict) or not _texts([said.get(name) for name in ("name", "split", "task")]):
        return False
    shape, parts, aspect = said.get("shape"), said.get("parts"), said.get("aspect", [])
    return (
        isinstance(shape, list)
        and all(type(size) is int for size in [*shape, said.get("num_examples")])
        and not isinstance(aspect, list | dict)
        and isinstance(parts, list)
        and all(isinstance(part, list) and [type(one) for one in part] == [str, int, int] for part in parts)
    )


def _is_size(size: Any) -> bool:
    return size is None or (type(size) is int and size >= 0)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _want(fine: bool, entry: str, form: str, value: Any) -> None:
    if not fine:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:80] + "..."
        raise ValueError(f"`{entry}` in the manifest must be {form}, got {shown}. Export the model again.")
