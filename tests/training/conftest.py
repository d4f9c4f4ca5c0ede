"""Real digits, and a model small enough to train many times in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

Arrays = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def digits() -> Arrays:
    """All 1,797 digits of scikit-learn: pixels `(N, 8, 8, 1)` in [0, 255] and labels `(N,)`."""
    found = load_digits()
    return (found.images * 255 / 16).astype("uint8")[..., None], found.target.astype("int64")


@pytest.fixture(scope="session")
def train(digits: Arrays) -> Arrays:
    """40 digits: 2 steps of 32, the last of 8."""
    return digits[0][:40], digits[1][:40]


@pytest.fixture(scope="session")
def held_out(digits: Arrays) -> Arrays:
    """20 digits: one step."""
    return digits[0][200:220], digits[1][200:220]


def build_tiny(seed: int = 0) -> keras.Model:
    """A perceptron with batch norm and dropout: all kinds of state that a resumed run must have."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(16, name="hidden")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = keras.layers.Dropout(0.3)(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="probabilities")(x))


@pytest.fixture(scope="session")
def tiny() -> Callable[..., keras.Model]:
    return build_tiny


def eager(model: keras.Model, **settings: Any) -> keras.Model:
    """Compiled to train step by step outside the graph, which takes longer to trace than a test trains."""
    model.compile(run_eagerly=True, jit_compile=False, **settings)
    return model


@pytest.fixture(scope="session")
def quick() -> Callable[..., keras.Model]:
    """The same model, compiled as `fit` would, to train step by step."""
    settings = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    return lambda seed=0: eager(build_tiny(seed), **settings)
