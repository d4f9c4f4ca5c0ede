"""An artifact found whole: its manifest, and the formats that it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2zoo.artifact import manifest
from l2zoo.artifact.formats import FORMATS


def checked(folder: Path) -> dict[str, Any]:
    """The manifest of a folder in which every file is what it was when it was written.

    Files are read as bytes only. This tells of damage; against somebody who rewrites files and manifest
    together only a signature helps.

    Raises:
        FileNotFoundError: There is no artifact in `folder`.
        ValueError: Something differs; the message says what.
    """
    content = manifest.read(folder)
    manifest.check_files(folder, content.get("files"))
    return content


def formats(content: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of an artifact's formats, each of which this l2zoo knows and has its file there.

    Args:
        content: What `checked` gave.

    Raises:
        ValueError: The manifest names none, or one that is not known or not there.
    """
    rows = content.get("formats")
    if not isinstance(rows, dict) or not rows:
        raise ValueError(f"`formats` in {manifest.FILE} must name the formats. Export the model again.")
    unknown = sorted(set(rows) - set(FORMATS))
    if unknown:
        raise ValueError(f"This l2zoo knows the formats {list(FORMATS)}, the artifact has {unknown}. Update.")
    for name in rows:
        path = FORMATS[name].path
        if not any(file == path or file.startswith(path + "/") for file in content["files"]):
            raise ValueError(f"The artifact has no {path}, which {manifest.FILE} speaks of. Export again.")
    return rows
