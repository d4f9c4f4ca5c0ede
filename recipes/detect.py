"""Trains a detector to find things with boxes around them: digits that lie on photographs.

    python recipes/detect.py --seeds 3 --out runs/detect
    python recipes/detect.py --data voc --test-split validation --image-size 256 --augment flip
    python recipes/detect.py --data folder:PATH --tune-l2 --out runs/mine

Ends with COCO's average precision on the test set, a picture of some answers, and files to deploy, from
pixels to final boxes, that were compared with the model. What came out is in the README ("Figures"). Stopped
in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo import zoo
from l2zoo.data import load
from l2zoo.studies.options import BackboneOptions, ExperimentOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = ExperimentOptions(
    l2=0.01, tune_images=1200, tune_epochs=20, epochs=25, batch_size=32, out=Path("runs/detect")
)
OWN_ENCODER = BackboneOptions()


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with annotations in COCO's JSON.")
    ] = "l2zoo_scenes",
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "detector",
    encoder: BackboneOptions = OWN_ENCODER,
    augment: Annotated[str, typer.Option(help="As in flip+shift+zoom+color, or none.")] = "shift+zoom+color",
    options: ExperimentOptions = DEFAULTS,
) -> None:
    """Trains, measures and exports a detector."""
    zoo.find(model, task="detection")  # before the data is read
    images = options.loader(load, data, task="detection")
    train, test = images.train_and_test(limit=options.limit)

    from l2zoo.tasks import Detection

    def build(policy: l2zoo.L2Policy) -> Any:
        shape = train.image_shape
        return l2zoo.build(model, shape, train.num_classes, l2=policy, options=encoder.build(shape))

    outcome = options.run(
        build,
        Detection(train.class_names),
        train,
        test,
        training=options.training(augment=augment),
        searched=images.again(train, test),
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
