"""Trains a classifier: by default a ResNet-20 on handwritten digits that need no download.

    python recipes/classify.py --seeds 3 --out runs/classify
    python recipes/classify.py --data mnist --epochs 8 --batch-size 128 --seeds 3 --out runs/mnist
    python recipes/classify.py --data cifar10 --augment flip+shift --epochs 164 --l2 5e-5 --out runs/cifar10
    python recipes/classify.py --data folder:PATH --image-size 64 --tune-l2 --out runs/mine

Ends with accuracy on the test set, a picture of some answers, and files to deploy that were compared
with the model. What came out is in the README ("Figures"). Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo import zoo
from l2zoo.data import load
from l2zoo.studies.options import ExperimentOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = ExperimentOptions(
    l2=5e-5, tune_images=600, tune_epochs=10, epochs=40, batch_size=32, out=Path("runs/classify")
)


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with class folders.")
    ] = "l2zoo_digits",
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "resnet20",
    loss: Annotated[str, typer.Option(help="crossentropy, focal or squared_error.")] = "crossentropy",
    label_smoothing: Annotated[float, typer.Option(help="Share of a label that all classes get.")] = 0.0,
    augment: Annotated[str, typer.Option(help="As in flip+shift+mixup, or none.")] = "shift",
    privacy: Annotated[bool, typer.Option(help="Attack the model: are its images found?")] = False,
    options: ExperimentOptions = DEFAULTS,
) -> None:
    """Trains, measures and exports a classifier."""
    zoo.find(model, task="classification")  # before the data is read
    images = options.loader(load, data)
    train, test = images.train_and_test(limit=options.limit)

    from l2zoo.tasks import Classification

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build(model, train.image_shape, train.num_classes, l2=policy)

    outcome = options.run(
        build,
        Classification(train.class_names, loss=loss, label_smoothing=label_smoothing),
        train,
        test,
        training=options.training(augment=augment),
        searched=images.again(train, test),
        privacy=privacy,
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
