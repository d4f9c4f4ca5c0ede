"""An artifact's folder, as it was found when it was last checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2zoo.artifacts.parity import table
from l2zoo.artifacts.parity.parity import Parity


@dataclass(frozen=True)
class Artifact:
    """A folder that holds what its manifest says and answers like its Keras model.

    Args:
        folder: Where it is.
        manifest: The content of `manifest.json`; that of an older version in today's words.
        parity: Format name to the figures of this check.
        versions: Name of a package to its version when the artifact was written and to that which is
            installed here, where they differ.
    """

    folder: Path
    manifest: Mapping[str, Any]
    parity: Mapping[str, Parity]
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        total = sum(row["bytes"] for row in self.manifest["files"].values())
        head = f"{self.folder}: {self.manifest['name']}, {len(self.manifest['files'])} files, {total:,} bytes"
        moved = [f"{line[0].upper()}{line[1:]}." for line in [differing(self.versions)] if line]
        return "\n\n".join([head, table.table(self.parity, sizes(self.manifest["formats"])), *moved])


def differing(versions: Mapping[str, tuple[str, str]]) -> str:
    """Versions then and here, in words; nothing if there are none.

    Example:
        >>> differing({"keras": ("3.15.1", "3.16.0"), "numpy": ("2.0.0", "2.1.0")})
        'written with keras 3.15.1 and numpy 2.0.0, here 3.16.0 and 2.1.0'
    """
    if not versions:
        return ""
    written = " and ".join(f"{name} {then}" for name, (then, _) in versions.items())
    return f"written with {written}, here {' and '.join(here for _, here in versions.values())}"


def sizes(formats: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """Path and bytes of each format, from the manifest's `formats`."""
    return {name: (row["path"], row["bytes"]) for name, row in formats.items()}
