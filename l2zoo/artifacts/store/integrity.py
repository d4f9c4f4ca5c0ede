"""An artifact found whole, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest


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
