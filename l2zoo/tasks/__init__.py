"""What models are trained for, one task a file: data, losses, metrics, and a picture of what comes out."""

from __future__ import annotations

from typing import Any

from l2zoo.utils.packages import public_value

_HOME = {
    "Classification": "l2zoo.tasks.classification",
    "MultiLabel": "l2zoo.tasks.multilabel",
    "Regression": "l2zoo.tasks.regression",
    "Segmentation": "l2zoo.tasks.segmentation.task",
    "Detection": "l2zoo.tasks.detection.task",
    "Generation": "l2zoo.tasks.diffusion.task",
    "VideoPrediction": "l2zoo.tasks.video.task",
    "generate": "l2zoo.tasks.video.task",
    "step_model": "l2zoo.tasks.video.keras_rollout",
    "rollout_gif": "l2zoo.tasks.plots.generated",
    "optimizer": "l2zoo.tasks.optimizers",
    "Judge": "l2zoo.tasks.diffusion.evaluation",
    "sample": "l2zoo.tasks.diffusion.keras_sampling",
    "denoising_gif": "l2zoo.tasks.plots.generated",
    "frechet_distance": "l2zoo.tasks.diffusion.feature_distances",
    "copying": "l2zoo.tasks.diffusion.feature_distances",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    return public_value(__name__, name, _HOME)
