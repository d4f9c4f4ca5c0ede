"""What tests of the runtime share: names of classes, random images, and tiny models with their artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

NAMES = ("cat", "dog", "owl")


class Made(NamedTuple):
    model: keras.Model
    folder: Path


def exported(model, folder, sample, *, names=NAMES, task=None, formats=("tflite",), **options) -> Made:
    from l2zoo.artifacts import Card, export

    card = Card(class_names=names, task=task)
    export(model, folder, sample=sample, formats=formats, card=card, **options)
    return Made(model, folder)


def scattered(model, scale=0.3):
    """The model with random weights of some size, so that its answers differ from image to image."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, scale, weight.shape).astype("float32"))
    return model


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def wide():
    """Answers of these models are pixels, or as large."""
    from l2zoo.artifacts import Limits

    return Limits(max_abs_diff=0.05)
