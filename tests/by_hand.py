"""What a penalty must be, computed by NumPy in double precision from paths that a person listed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np


def arrays(model: keras.layers.Layer) -> dict[str, np.ndarray]:
    """Every weight of a model by path, as float64."""
    return {w.path: keras.ops.convert_to_numpy(w.value).astype("float64") for w in model.weights}


def penalty(model: keras.layers.Layer, paths: Iterable[str], lam: float, l1: float = 0.0) -> float:
    """`sum over the listed weights of l1 * sum(|w|) + lam * sum(w ** 2)`."""
    values = arrays(model)
    return sum(l1 * np.abs(values[p]).sum() + lam * np.square(values[p]).sum() for p in paths)


def added_loss(model: keras.layers.Layer) -> float:
    """What Keras itself adds to the data loss."""
    return float(sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses))


def randomise(model: Any, seed: int = 0) -> Any:
    """Gives every trainable weight, biases and norms too, values for which a penalty would show."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.5, 1.0, weight.shape).astype("float32"))
    return model


def reloaded(model: Any, folder: Path, **kwargs: Any) -> Any:
    """The model after `save` and plain `load_model`."""
    path = folder / "model.keras"
    model.save(path)
    return keras.saving.load_model(path, **kwargs)
