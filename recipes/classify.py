"""Trains a classifier: by default a ResNet-20 on handwritten digits that need no download.

    python recipes/classify.py --seeds 3 --out runs/classify
    python recipes/classify.py --data mnist --epochs 8 --batch-size 128 --seeds 3 --out runs/mnist
    python recipes/classify.py --data cifar10 --augment flip+shift --epochs 164 --l2 5e-5 --out runs/cifar10
    python recipes/classify.py --data folder:PATH --image-size 64 --tune-l2 --out runs/mine

Ends with accuracy on the test set, a picture of some answers, and files to deploy that were compared
with the model. What came out is in the README ("Figures"). Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import load
from l2zoo.utils.console import without_chatter
from l2zoo.utils.scripts import run_script


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with class folders.")
    ] = "l2zoo_digits",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    test_split: Annotated[str, typer.Option(help="What the model is measured on.")] = "test",
    image_size: Annotated[int | None, typer.Option(help="Side to resize images to.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = None,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "resnet20",
    l2: Annotated[float, typer.Option(help="Strength of L2, in Keras's convention.")] = 5e-5,
    tune_l2: Annotated[bool, typer.Option(help="Choose the strength by cross-validation.")] = False,
    tune_images: Annotated[int, typer.Option(help="Images for that.")] = 600,
    tune_epochs: Annotated[int, typer.Option(help="Epochs of each training of that.")] = 10,
    label_smoothing: Annotated[float, typer.Option(help="Share of a label that all classes get.")] = 0.0,
    loss: Annotated[str, typer.Option(help="crossentropy, focal or squared_error.")] = "crossentropy",
    augment: Annotated[str, typer.Option(help="As in flip+shift+mixup, or none.")] = "shift",
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 2e-3,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in 16 bits where it is safe.")] = False,
    formats: Annotated[
        str, typer.Option(help="As in savedmodel,tflite,tflite_fp16,tflite_int8.")
    ] = "savedmodel,tflite",
    watch: Annotated[
        bool, typer.Option(help="Look at every kernel while training: monitor.csv, a heat map.")
    ] = False,
    privacy: Annotated[bool, typer.Option(help="Attack the model: are its images found?")] = False,
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/classify"),
) -> None:
    """Trains, measures and exports a classifier."""
    with without_chatter():
        from l2zoo.studies.experiment import Search, Training, experiment
        from l2zoo.tasks import Classification
        from l2zoo.zoo import find
    from rich import print as show

    find(model, task=Classification.name)  # before the data is read
    size = None if image_size is None else (image_size, image_size)
    opened = functools.partial(load, data, data_dir=data_dir, image_size=size)
    train, test = opened("train", limit=limit), opened(test_split)
    task = Classification(train.class_names, loss=loss, label_smoothing=label_smoothing)
    training = Training(
        epochs, batch_size, optimizer, learning_rate, augment=augment, mixed_precision=mixed_precision
    )

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build(model, train.image_shape, train.num_classes, l2=policy)

    quick = Training(tune_epochs, batch_size, optimizer, learning_rate)
    strength = Search(opened("train", limit=tune_images), quick) if tune_l2 else l2
    outcome = experiment(
        build, task, train, test,
        training=training, l2=strength, seeds=seeds, formats=formats.split(","),
        watch=watch, privacy=privacy, directory=out,
    )  # fmt: skip
    show(outcome)


if __name__ == "__main__":
    run_script(main)
