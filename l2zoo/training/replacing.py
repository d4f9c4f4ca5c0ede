"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path` to write to; at the end of the block it becomes `path`.

    The temporary name is always the same, so that what a killed process left is overwritten.
    """
    partial = path.with_name(f".partial.{path.name}")
    yield partial
    os.replace(partial, path)
