"""Trains a detector on a backbone of keras.applications: things with boxes around them.

    python recipes/detect.py --out runs/detect

By default digits that lie on photographs, and MobileNetV2 from random weights in the place of the detector's
own encoder. Ends with COCO's average precision on the test set, a picture of some answers, and files to
deploy, from pixels to final boxes, that were compared with the model. `l2zoo train --task detection` does the
same with options. Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load_train_test
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_scenes"  # or folder:PATH with annotations in COCO's JSON
BACKBONE = "MobileNetV2"  # "" for the detector's own encoder, which is better on images this small
L2 = 0.01
FORMATS = ("tflite",)


def main(out: Path = Path("runs/detect"), epochs: int = 25, limit: int | None = None) -> None:
    """Trains, measures and exports a detector."""
    from l2zoo.models.backbones import application
    from l2zoo.tasks import Detection

    train, test = load_train_test(DATA, task="detection", limit=limit)

    def build(policy: l2zoo.L2Policy) -> Any:
        encoder = application(BACKBONE, train.image_shape) if BACKBONE else None
        return l2zoo.build_detector(
            train.image_shape, num_classes=train.num_classes, backbone=encoder, l2=policy
        )

    outcome = l2zoo.experiment(
        build,
        Detection(train.class_names),
        train,
        test,
        training=l2zoo.Training(epochs, batch_size=32, augment="shift+zoom+color"),
        l2=L2,
        formats=FORMATS,
        directory=out,
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
