"""An artifact's folder, as it was found when it was last checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2zoo.artifact import figures
from l2zoo.artifact.parity import Parity


@dataclass(frozen=True)
class Artifact:
    """A folder that holds what its manifest says and answers like its Keras model.

    Args:
        folder: Where it is.
        manifest: The content of `manifest.json`; that of an older version in today's words.
        parity: Format name to the figures of this check.
    """

    folder: Path
    manifest: Mapping[str, Any]
    parity: Mapping[str, Parity]

    def __str__(self) -> str:
        total = sum(row["bytes"] for row in self.manifest["files"].values())
        head = f"{self.folder}: {self.manifest['name']}, {len(self.manifest['files'])} files, {total:,} bytes"
        return f"{head}\n\n{figures.table(self.parity, sizes(self.manifest['formats']))}"


def sizes(formats: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """Path and bytes of each format, from the manifest's `formats`."""
    return {name: (row["path"], row["bytes"]) for name, row in formats.items()}
