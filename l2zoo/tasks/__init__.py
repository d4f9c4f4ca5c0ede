"""What models are trained for, one task a file: data, losses, metrics, and a picture of what comes out."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Classification": "l2zoo.tasks.classification",
    "Segmentation": "l2zoo.tasks.segmentation",
    "Detection": "l2zoo.tasks.detection",
    "Generation": "l2zoo.tasks.generation",
    "VideoPrediction": "l2zoo.tasks.video",
    "generate": "l2zoo.tasks.video",
    "step_model": "l2zoo.tasks.forecasting.stepping",
    "rollout_gif": "l2zoo.tasks.picturing.clip_pictures",
    "optimizer": "l2zoo.tasks.optimizers",
    "Judge": "l2zoo.tasks.diffusing.judging",
    "sample": "l2zoo.tasks.diffusing.drawing",
    "denoising_gif": "l2zoo.tasks.picturing.drawn_images",
    "frechet_distance": "l2zoo.tasks.diffusing.frechet",
    "copying": "l2zoo.tasks.diffusing.neighbours",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'l2zoo.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
