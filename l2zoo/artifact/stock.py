"""The formats that an artifact has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from l2zoo.artifact.formats import FORMATS
from l2zoo.shelf import manifest


def formats(content: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of an artifact's formats, each of which this l2zoo knows and has its file there.

    Args:
        content: The manifest of an artifact that was found whole.

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
