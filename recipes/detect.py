"""Trains a detector to find things with boxes around them: digits that lie on photographs.

    python recipes/detect.py --seeds 3 --out runs/detect
    python recipes/detect.py --data voc --test-split validation --image-size 256 --augment flip
    python recipes/detect.py --data folder:PATH --tune-l2 --out runs/mine

Ends with COCO's average precision on the test set, a picture of some answers, and files to deploy, from
pixels to final boxes, that were compared with the model. What came out is in the README ("Figures"). Stopped
in the middle, the same command goes on.
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
        str, typer.Option(help="A TFDS name, or folder:PATH with annotations in COCO's JSON.")
    ] = "l2zoo_scenes",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    test_split: Annotated[str, typer.Option(help="What the model is measured on.")] = "test",
    image_size: Annotated[int | None, typer.Option(help="Side to resize images to.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = None,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "detector",
    backbone: Annotated[
        str, typer.Option(help="An encoder of keras.applications, such as MobileNetV2; empty: its own.")
    ] = "",
    weights: Annotated[
        str | None, typer.Option(help="Of the encoder: imagenet (downloads them), or a file.")
    ] = None,
    freeze: Annotated[bool, typer.Option(help="Keep the encoder as it is: the rest learns.")] = False,
    l2: Annotated[float, typer.Option(help="Strength of L2, in Keras's convention.")] = 0.01,
    tune_l2: Annotated[bool, typer.Option(help="Choose the strength by cross-validation.")] = False,
    tune_images: Annotated[int, typer.Option(help="Images for that.")] = 1200,
    tune_epochs: Annotated[int, typer.Option(help="Epochs of each training of that.")] = 20,
    augment: Annotated[str, typer.Option(help="As in flip+shift+zoom+color, or none.")] = "shift+zoom+color",
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 2e-3,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 25,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in 16 bits where it is safe.")] = False,
    formats: Annotated[
        str, typer.Option(help="As in savedmodel,tflite,tflite_fp16,tflite_int8.")
    ] = "savedmodel,tflite",
    watch: Annotated[
        bool, typer.Option(help="Look at every kernel while training: monitor.csv, a heat map.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/detect"),
) -> None:
    """Trains, measures and exports a detector."""
    with without_chatter():
        from l2zoo.models.backbones import application
        from l2zoo.studies.experiment import Search, Training, experiment
        from l2zoo.tasks import Detection
        from l2zoo.zoo import find
    from rich import print as show

    find(model, task=Detection.name)  # before the data is read
    if freeze and not backbone:
        raise ValueError("--freeze needs a --backbone, whose weights stay as they are.")
    size = None if image_size is None else (image_size, image_size)
    opened = functools.partial(load, data, task="detection", data_dir=data_dir, image_size=size)
    train, test = opened("train", limit=limit), opened(test_split)
    task = Detection(train.class_names)
    shape = train.image_shape
    training = Training(
        epochs, batch_size, optimizer, learning_rate, augment=augment, mixed_precision=mixed_precision
    )

    def build(policy: l2zoo.L2Policy) -> Any:
        options = {}
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
