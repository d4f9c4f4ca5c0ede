"""Predicts a number from an image: by how many degrees a handwritten digit is turned.

    python recipes/regress.py --out runs/regress

Each of the real digits is turned three times, by an angle at random, so that truth is known; the strength
is chosen on folds that keep the three of a digit together (`groups`). Ends with the mean absolute error in
degrees on test digits, a picture of some answers, and files to deploy. Stopped in the middle, the same
command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import l2zoo
from l2zoo.data import ImageData, divided, load
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

TURNS, MOST, SIDE = 3, 45.0, 24  # of each digit; degrees to either side; pixels of an image
SEARCHED = 400  # images that the search takes
FORMATS = ("savedmodel", "tflite")


def turn(data: ImageData) -> ImageData:
    """Each digit turned `TURNS` times, with the angles in degrees; the turns of a digit are a group."""
    digits, _ = data.arrays()
    angles = np.random.default_rng(len(digits)).uniform(-MOST, MOST, TURNS * len(digits))
    rows = np.repeat(np.arange(len(digits)), TURNS)
    large = [
        Image.fromarray(digit[..., 0]).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for digit in digits
    ]
    images = [
        np.asarray(large[i].rotate(a, Image.Resampling.BILINEAR)) for i, a in zip(rows, angles, strict=True)
    ]
    groups = [f"{data.split} {row}" for row in rows]
    return load((np.stack(images), angles), data.split, task="regression", groups=groups)


def build(policy: l2zoo.L2Policy) -> Any:
    """A small CNN with one output without activation."""
    from keras import Input, Sequential, layers

    body = [Input((SIDE, SIDE, 1)), layers.Rescaling(1 / 255)]
    for filters in (16, 32):
        body += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    body += [layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(1)]
    return policy.apply(Sequential(body, name="angle_cnn"))


def main(out: Path = Path("runs/regress"), epochs: int = 30, limit: int | None = None) -> None:
    """Trains, measures and exports a model of angles."""
    from l2zoo.studies.experiment import Search
    from l2zoo.tasks import Regression

    train, test = turn(load("l2zoo_digits", "train", limit=limit)), turn(load("l2zoo_digits", "test"))
    few = divided(train, min(SEARCHED, train.num_examples))[0]
    outcome = l2zoo.experiment(
        build,
        Regression(("angle",), loss="huber", scale=MOST),
        train,
        test,
        training=l2zoo.Training(epochs, batch_size=64),
        l2=Search(few, l2zoo.Training(max(1, epochs // 3), batch_size=64)),
        formats=FORMATS,
        directory=out,
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
