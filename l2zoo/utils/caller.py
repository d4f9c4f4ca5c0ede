"""Who called this package: where a warning is to point."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


def outside() -> int:
    """The `stacklevel` by which a warning points at the code that called into this package.

    Example:
        >>> outside()
        1
    """
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return max(level, 1)
