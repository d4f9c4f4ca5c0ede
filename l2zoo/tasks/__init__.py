"""What models are trained for, one task a file: data, losses, metrics, and a picture of what comes out."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Classification": "l2zoo.tasks.classification",
    "Segmentation": "l2zoo.tasks.segmentation",
    "Detection": "l2zoo.tasks.detection",
    "optimizer": "l2zoo.tasks.optimizers",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'l2zoo.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
