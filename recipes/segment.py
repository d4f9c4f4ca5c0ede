"""Trains a U-Net to say for every pixel what it is.

    python recipes/segment.py --out runs/segment

By default on digits that lie on photographs. Ends with mean IoU and Dice on the test set, a picture of some
answers, and files to deploy that were compared with the model. `l2zoo train --task segmentation` does the
same with options; how to search for the strength first, regress.py shows. Stopped in the middle, the same
command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load_train_test
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_scenes"  # or folder:PATH with images/ and masks/
FILTERS = (16, 32, 64, 128)  # channels at stride 1, 2, 4, 8
L2 = 1e-6
FORMATS = ("tflite",)


def main(out: Path = Path("runs/segment"), epochs: int = 15, limit: int | None = None) -> None:
    """Trains, measures and exports a model that classifies every pixel."""
    from l2zoo.tasks import Segmentation

    train, test = load_train_test(DATA, task="segmentation", limit=limit)

    def build(policy: l2zoo.L2Policy) -> Any:
        options = {"filters": FILTERS}
        return l2zoo.build("unet", train.image_shape, train.num_classes, l2=policy, options=options)

    outcome = l2zoo.experiment(
        build,
        Segmentation(train.class_names, loss="dice"),
        train,
        test,
        training=l2zoo.Training(epochs, batch_size=8, augment="shift", mixed_precision=True),
        l2=L2,
        formats=FORMATS,
        directory=out,
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
