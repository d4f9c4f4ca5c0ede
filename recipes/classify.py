"""Trains a classifier over three seeds: a ResNet-20 on handwritten digits that need no download.

    python recipes/classify.py --out runs/classify

Ends with accuracy on the test set, mean and standard error over the seeds, a picture of some answers, and
files to deploy that were compared with the model. `l2zoo train` does the same with options. Stopped in the
middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load_train_test
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_digits"  # or a TFDS name, or folder:PATH with class folders
MODEL = "resnet20"  # see `l2zoo list`; or build your own
L2 = 5e-5
SEEDS = 3
FORMATS = ("savedmodel", "tflite")


def main(out: Path = Path("runs/classify"), epochs: int = 40, limit: int | None = None) -> None:
    """Trains, measures and exports a classifier."""
    from l2zoo.tasks import Classification

    train, test = load_train_test(DATA, limit=limit)

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build(MODEL, train.image_shape, train.num_classes, l2=policy)

    outcome = l2zoo.experiment(
        build,
        Classification(train.class_names),
        train,
        test,
        training=l2zoo.Training(epochs, batch_size=32, augment="shift"),
        l2=L2,
        seeds=SEEDS,
        formats=FORMATS,
        directory=out,
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
