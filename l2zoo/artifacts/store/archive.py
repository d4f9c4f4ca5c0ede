"""A `.keras` file is a zip: what it says of itself is looked at before anything is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

LARGEST = 64 * 2**30  # bytes that may come out of one file
RATIO = 100  # Keras stores without compressing; weights that are compressed shrink by half at most
UNSUSPECTED = 16 * 2**20  # bytes that may come out whatever went in
_MEMBERS = {"metadata.json", "config.json"}
_ENCRYPTED = 1  # bit of a zip entry's flags


def check(path: Path) -> None:
    """Compares what a Keras file would unpack to with its size, and looks at the names in it.

    Raises:
        ValueError: It is no Keras file, it would unpack to far more than it holds, or a name in it leads
            elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"{path.name} cannot be loaded: it is no Keras file ({error}).") from error
    names = [entry.filename for entry in entries]
    missing = sorted(_MEMBERS - set(names))
    if missing or len(set(names)) != len(names):
        raise ValueError(f"{path.name} cannot be loaded: it is no Keras file, it holds {names[:5]}.")
    astray = [name for name in names if _leads_elsewhere(name)]
    if astray or any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise ValueError(f"{path.name} cannot be loaded: Keras writes no such names as {astray[:3]}.")
    packed, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
    if unpacked > LARGEST or unpacked > max(UNSUSPECTED, RATIO * packed):
        raise ValueError(
            f"{path.name} cannot be loaded: its {packed:,} bytes would unpack to {unpacked:,}, which no "
            "model does. Do not use this file."
        )


def _leads_elsewhere(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
