"""What callbacks such as `EarlyStopping` remember from epoch to epoch, so that a resumed run has it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Keras turns the sign of `min_delta` when a callback first needs it, and would turn it again.
_SETTINGS = ("min_delta",)

Memory = dict[str, Any]


def recall(callback: Any) -> Memory:
    """The numbers, words, arrays and lists of arrays among a callback's public attributes."""
    found: Memory = {}
    for name, value in vars(callback).items():
        if name.startswith("_") or name in _SETTINGS:
            continue
        if isinstance(value, np.generic):
            value = value.item()
        arrays = isinstance(value, list) and value and all(isinstance(part, np.ndarray) for part in value)
        if value is None or isinstance(value, (bool, int, float, str, np.ndarray)) or arrays:
            found[name] = value
    return found


def learned(callback: Any, before: Memory) -> Memory:
    """What differs from `before`, as it was when the training began: settings do not, so they stay free."""
    return {
        name: value for name, value in recall(callback).items() if not _same(value, before.get(name, ...))
    }


def remind(callbacks: Sequence[Any], memories: Sequence[tuple[str, Memory]]) -> None:
    """Gives callbacks their memory back; one of another class than at that position begins with none."""
    for callback, (kind, memory) in zip(callbacks, memories, strict=False):
        if type(callback).__name__ == kind:
            for name, value in memory.items():
                setattr(callback, name, value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(np.array_equal, one, other))
    if isinstance(one, (list, np.ndarray)) or isinstance(other, (list, np.ndarray)):
        return type(one) is type(other) and bool(np.array_equal(one, other))
    return bool(one == other)
