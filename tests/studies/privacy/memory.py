"""What the tests of the audit share: images of noise with labels by chance, which can only be memorised."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

EPOCHS, BATCH = 45, 128


def data(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images 4x4x1 in [0, 255] and one of three labels, each equally often."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 4, 4, 1)).astype("uint8"), rng.permutation(np.arange(n) % 3)


MEMBERS, OTHERS = data(120), data(110, seed=1)


def build(loss: Any = "sparse_categorical_crossentropy") -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Rescaling(1 / 128, -1),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-5)),
            keras.layers.Dense(3, activation="softmax"),
        ],
        name="small",
    )
    model.compile(keras.optimizers.Adam(2e-2), loss)
    return model


def untrained(seed: int = 5) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build()


@functools.cache
def overfitted() -> keras.Model:
    model = untrained()
    model.fit(*MEMBERS, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    return model
