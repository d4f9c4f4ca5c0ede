"""Fine-tunes ImageNet's weights on few images: a new head first, then level after level.

    python recipes/finetune.py --out runs/finetune
    python recipes/finetune.py --data fashion_mnist --limit 500 --image-size 96 --out runs/fashion
    python recipes/finetune.py --data folder:PATH --limit 0 --image-size 160 --out runs/mine

The weights of EfficientNetLite0 come along, nothing is downloaded; other backbones of keras.applications
download theirs. Images are enlarged, and grey ones shown in all three channels. In each stage more of the
backbone learns, at a lower rate; beside that all of it learns at once, and from random weights. The strength
of L2 (with `--optimizer adamw`, of decay) is chosen by cross-validation on the few images. Stopped in the
middle, the same command goes on. By default it learns faces from what is none, which scikit-image brings:
`pip install "l2zoo[photos]"`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from l2zoo.data import load
from l2zoo.studies.options import DataOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = DataOptions(image_size=64)


def main(
    data: Annotated[str, typer.Option(help="A TFDS name, or folder:PATH.")] = "l2zoo_faces",
    images: DataOptions = DEFAULTS,
    limit: Annotated[int, typer.Option(help="Train on so many images only; 0 for all.")] = 20,
    backbone: Annotated[
        str, typer.Option(help="Of keras.applications, or EfficientNetLite0 to 4.")
    ] = "EfficientNetLite0",
    weights: Annotated[str, typer.Option(help="imagenet, or a file with weights.")] = "imagenet",
    levels: Annotated[str, typer.Option(help="Of the backbone that learn, stage by stage.")] = "0,2,all",
    scratch: Annotated[
        bool, typer.Option(help="Train all levels at once, and random weights, too, to compare.")
    ] = True,
    augment: Annotated[str, typer.Option(help="As in flip+shift, or none.")] = "flip+shift",
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="Of the first stage, the highest.")] = 1e-2,
    epochs: Annotated[int, typer.Option(help="Of each stage.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 10,
    strengths: Annotated[str, typer.Option(help="Of L2; of several the best is chosen.")] = "0,1e-5,1e-4",
    formats: Annotated[str, typer.Option(help="As in savedmodel,tflite,tflite_int8.")] = "savedmodel,tflite",
    seeds: Annotated[int, typer.Option(help="Trainings, each with other images and another head.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/finetune"),
) -> None:
    """Fine-tunes a backbone stage by stage, measures each stage, and exports the last."""
    train, test = images.loader(load, data).train_and_test()

    from l2zoo import Training
    from l2zoo.models.backbones import application
    from l2zoo.studies.finetune import finetune

    numbers = [float(number) for number in strengths.split(",")]
    result = finetune(
        application(backbone, train.image_shape, weights=weights), train, test,
        training=Training(epochs, batch_size, optimizer, learning_rate, augment=augment),
        levels=[None if level == "all" else int(level) for level in levels.split(",")],
        scratch=scratch, at_once=scratch, limit=limit or None, seeds=seeds, directory=out,
        l2=numbers if len(numbers) > 1 else numbers[0], formats=formats.split(","),
    )  # fmt: skip
    show(result)


if __name__ == "__main__":
    run_script(main)
