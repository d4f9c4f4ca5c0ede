"""A small search problem that the tests of the search share: tiny images of four patterns, tiny models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from l2zoo import L2Policy


def data(n: int = 48, *, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images 4x4x1 in [0, 255]: noise with one bright row that tells the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.uniform(0, 160, (n, 4, 4, 1))
    x[np.arange(n), y] += 60
    return x.astype("uint8"), y.astype("int64")


def build(l2: Any) -> keras.Model:
    """Batch norm and dropout, so that all kinds of state must be reset between trainings."""
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.25),
        keras.layers.Dense(3, activation="softmax"),
    ]
    return L2Policy.of(l2).apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))
