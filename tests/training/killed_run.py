"""A program that trains in the folder it is given and kills itself, as the system would, where it is told to.

python killed_run.py FOLDER SEED batch:EPOCH:BATCH    at the end of a batch
python killed_run.py FOLDER SEED write:N              when N files are written and the next is about to appear
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

from l2zoo.training import fit


class Kill(keras.callbacks.Callback):
    def __init__(self, epoch: int, batch: int):
        super().__init__()
        self.where, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if (self.epoch, batch) == self.where:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_at_write(number: int) -> None:
    replace, written = Path.replace, 0

    def counting(source: Path, target: Path) -> Path:
        nonlocal written
        if written == number:
            os.kill(os.getpid(), signal.SIGKILL)
        written += 1
        return replace(source, target)

    Path.replace = counting  # the step in which `l2zoo.utils.storage.files` gives a written file its name


def build(seed: int) -> keras.Model:
    """A CNN with batch norm and dropout: all kinds of state that a resumed run must have."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def train(
    model: keras.Model, folder: str, callbacks: list[keras.callbacks.Callback]
) -> dict[str, list[float]]:
    """The same call every time: Adam with a learning rate that falls, four epochs of seven steps."""
    found = load_digits()
    x, y = (found.images * 255 / 16).astype("uint8")[..., None], np.int64(found.target)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 28)
    return fit(
        model,
        (x[:200], y[:200]),
        validation=(x[200:300], y[200:300]),
        epochs=4,
        l2=1e-3,
        optimizer=keras.optimizers.Adam(rate),
        run_dir=folder,
        callbacks=callbacks,
        verbose=0,
    ).history


if __name__ == "__main__":
    kind, *numbers = sys.argv[3].split(":")
    if kind == "write":
        kill_at_write(int(numbers[0]))
    train(
        build(seed=int(sys.argv[2])),
        sys.argv[1],
        [Kill(*map(int, numbers))] if kind == "batch" else [],
    )
    sys.exit("It was to be killed, and it came to the end.")
