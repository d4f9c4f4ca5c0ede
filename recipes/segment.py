"""Trains a U-Net to say for every pixel what it is, on digits that lie on photographs.

    python recipes/segment.py --out runs/segment
    python recipes/segment.py --filters 24,48,96,192 --epochs 30 --seeds 3 --out runs/segment_wide
    python recipes/segment.py --data oxford_iiit_pet --image-size 128 --augment flip+zoom --out runs/pets
    python recipes/segment.py --data folder:PATH --tune-l2 --out runs/mine

Ends with mean IoU and Dice on the test set, a picture of some answers, and files to deploy that were compared
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
        str, typer.Option(help="A TFDS name, or folder:PATH with images/ and masks/.")
    ] = "l2zoo_scenes",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    test_split: Annotated[str, typer.Option(help="What the model is measured on.")] = "test",
    image_size: Annotated[int | None, typer.Option(help="Side to resize images to.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = None,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "unet",
    backbone: Annotated[
        str, typer.Option(help="An encoder of keras.applications, such as MobileNetV2; empty: its own.")
    ] = "",
    filters: Annotated[str, typer.Option(help="Channels at stride 1, 2, 4, ...")] = "16,32,64,128",
    weights: Annotated[
        str | None, typer.Option(help="Of the encoder: imagenet (downloads them), or a file.")
    ] = None,
    freeze: Annotated[bool, typer.Option(help="Keep the encoder as it is: the rest learns.")] = False,
    l2: Annotated[float, typer.Option(help="Strength of L2, in Keras's convention.")] = 1e-6,
    tune_l2: Annotated[bool, typer.Option(help="Choose the strength by cross-validation.")] = False,
    tune_images: Annotated[int, typer.Option(help="Images for that.")] = 600,
    tune_epochs: Annotated[int, typer.Option(help="Epochs of each training of that.")] = 8,
    loss: Annotated[
        str, typer.Option(help="crossentropy, focal, squared_error, dice, tversky, or a sum: dice+focal.")
    ] = "dice",
    augment: Annotated[str, typer.Option(help="As in flip+shift+zoom+color, or none.")] = "shift",
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 2e-3,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 15,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 8,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in 16 bits where it is safe.")] = True,
    formats: Annotated[
        str, typer.Option(help="As in savedmodel,tflite,tflite_fp16,tflite_int8.")
    ] = "savedmodel,tflite",
    watch: Annotated[
        bool, typer.Option(help="Look at every kernel while training: monitor.csv, a heat map.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/segment"),
) -> None:
    """Trains, measures and exports a model that classifies every pixel."""
    with without_chatter():
        from l2zoo.models.backbones import application
        from l2zoo.studies.experiment import Search, Training, experiment
        from l2zoo.tasks import Segmentation
        from l2zoo.zoo import find
    from rich import print as show

    find(model, task=Segmentation.name)  # before the data is read
    if freeze and not backbone:
        raise ValueError("--freeze needs a --backbone, whose weights stay as they are.")
    size = None if image_size is None else (image_size, image_size)
    opened = functools.partial(load, data, task="segmentation", data_dir=data_dir, image_size=size)
    train, test = opened("train", limit=limit), opened(test_split)
    task = Segmentation(train.class_names, loss=loss)
    shape = train.image_shape
    training = Training(
        epochs, batch_size, optimizer, learning_rate, augment=augment, mixed_precision=mixed_precision
    )

    channels = tuple(int(number) for number in filters.split(","))

    def build(policy: l2zoo.L2Policy) -> Any:
        options: dict[str, Any] = {"filters": channels}
        if backbone:
            options["backbone"] = application(backbone, shape, weights=weights, trainable=not freeze)
        return l2zoo.build(model, shape, train.num_classes, l2=policy, options=options)

    quick = Training(tune_epochs, batch_size, optimizer, learning_rate)
    strength = Search(opened("train", limit=tune_images), quick) if tune_l2 else l2
    outcome = experiment(
        build, task, train, test,
        training=training, l2=strength, seeds=seeds, formats=formats.split(","),
        watch=watch, directory=out,
    )  # fmt: skip
    show(outcome)


if __name__ == "__main__":
    run_script(main)
