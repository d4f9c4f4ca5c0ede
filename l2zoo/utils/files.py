"""Files that are written whole or not at all, and folders that nobody wants to keep."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`, with the same ending, which becomes `path` if all goes well.

    The temporary name is always the same, so that what a killed process left is overwritten. Missing
    folders are made.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as partial:
        ...     size = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def kept_or_temporary(directory: str | Path | None) -> Iterator[Path]:
    """Gives the directory, absolute, or where there is none an empty one that is gone afterwards."""
    if directory is not None:
        yield Path(directory).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="l2zoo-") as name:
        yield Path(name)
