"""Trains a diffusion model and draws new images: handwritten digits by default, or photographs.

    python recipes/generate_images.py --seeds 3 --out runs/digits
    python recipes/generate_images.py --data l2zoo_photos --l2 1e-5 --out runs/photos
    python recipes/generate_images.py --data folder:PATH --image-size 32 --test-split valid --tune-l2
    python recipes/generate_images.py --data mnist --train-split "train[:80%]" --test-split "train[80%:]"

Ends with the loss on images that the model has not seen, with how good its own images are (by a ResNet-20 of
the same data: whether it sees the class that was asked for, how far samples are from real images, whether
they are copies), a picture and an animation of samples, and files to deploy that were compared with the
model. What came out is in the README ("Figures"). Stopped in the middle, the same command goes on.

Images are judged and pictured with 50 steps of DDIM and a guidance of 2 (`--steps`, `--guidance`), of which
`class_accuracy` is; `class_accuracy_unguided` is of a guidance of 1, with which `sample` and
`Predictor.sample` draw of themselves, and `class_accuracy_real` is what the ResNet-20 says of real images.
With `--limit`, up to 1,000 of the training images that it leaves out say what new images from the same place
score (`copying_fresh`). Pictures without classes train a model without classes, and are compared by their
pixels.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import check_splits, divided, load
from l2zoo.utils.console import without_chatter
from l2zoo.utils.scripts import run_script

FRESH = 1000  # images, of those that --limit leaves out, that are compared with the training images


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with images or class folders.")
    ] = "l2zoo_digits",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    train_split: Annotated[str, typer.Option(help="What it is trained on, as in train[:80%].")] = "train",
    test_split: Annotated[str, typer.Option(help="What the model is measured on.")] = "test",
    image_size: Annotated[int | None, typer.Option(help="Side to resize images to.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = None,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "diffusion",
    filters: Annotated[str, typer.Option(help="Channels at stride 1, 2, 4, ...")] = "16,32,64",
    l2: Annotated[float, typer.Option(help="Strength of L2, in Keras's convention.")] = 1e-6,
    tune_l2: Annotated[bool, typer.Option(help="Choose the strength by cross-validation.")] = False,
    tune_images: Annotated[int, typer.Option(help="Images for that.")] = 1200,
    tune_epochs: Annotated[
        int, typer.Option(help="Epochs of each training of that: few favour strong L2.")
    ] = 40,
    augment: Annotated[str, typer.Option(help="As in flip+shift, or none.")] = "none",
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 2e-3,
    average: Annotated[float, typer.Option(help="Momentum of the average of the weights, or 0.")] = 0.99,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 60,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 64,
    judge_epochs: Annotated[
        int, typer.Option(help="Epochs of the classifier that judges; 0: pixels are compared.")
    ] = 20,
    samples: Annotated[int, typer.Option(help="Images that are drawn and judged.")] = 1000,
    steps: Annotated[int, typer.Option(help="Of drawing an image.")] = 50,
    guidance: Annotated[float, typer.Option(help="1, or more for images more like their class.")] = 2.0,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in 16 bits where it is safe.")] = False,
    formats: Annotated[str, typer.Option(help="As in savedmodel,tflite,tflite_fp16.")] = "savedmodel,tflite",
    watch: Annotated[
        bool, typer.Option(help="Look at every kernel while training: monitor.csv, a heat map.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/images"),
) -> None:
    """Trains, measures and exports a model that draws images."""
    with without_chatter():
        from l2zoo.studies.experiment import Search, Training, experiment, train_model
        from l2zoo.tasks import Classification, Generation, Judge, denoising_gif
    from rich import print as show

    side = 28 if image_size is None and data == "l2zoo_digits" else image_size
    size = None if side is None else (side, side)
    opened = functools.partial(load, data, task="generation", data_dir=data_dir, image_size=size)
    train, test, fresh = opened(train_split), opened(test_split), None
    check_splits(train, test)
    if limit is not None:
        train, fresh = divided(train, limit)
        fresh = divided(fresh, FRESH)[0] if fresh and fresh.num_examples > FRESH else fresh
    guidance = guidance if train.num_classes else 1.0
    training = Training(
        epochs,
        batch_size,
        optimizer,
        learning_rate,
        augment=augment,
        average=average,
        mixed_precision=mixed_precision,
    )
    channels = tuple(int(number) for number in filters.split(","))

    def build(policy: l2zoo.L2Policy) -> Any:
        classes = train.num_classes or None
        return l2zoo.build(model, train.image_shape, classes, l2=policy, options={"filters": channels})

    quick = Training(tune_epochs, batch_size, optimizer, learning_rate)
    strength = Search(opened(train_split, limit=tune_images), quick) if tune_l2 else l2
    judge = Judge(train, n=samples, steps=steps, guidance=guidance, progress=True, fresh=fresh)
    Generation(train.class_names, judge).check(build(training.policy(0.0)), test)  # before anything trains
    if judge_epochs and train.num_classes > 1:
        classifier = train_model(
            lambda policy: l2zoo.build("resnet20", train.image_shape, train.num_classes, l2=policy),
            Classification(train.class_names), train,
            training=Training(judge_epochs, augment="shift"), l2=5e-5, seed=0, run_dir=out / "judge",
        )  # fmt: skip
        judge = dataclasses.replace(judge, classifier=classifier)
    outcome = experiment(
        build, Generation(train.class_names, judge), train, test,
        training=training, l2=strength, seeds=seeds, formats=formats.split(","),
        watch=watch, directory=out,
    )  # fmt: skip
    labels = [number % train.num_classes for number in range(16)] if train.num_classes else None
    movie = denoising_gif(outcome.model, out / "denoising.gif", steps=steps, labels=labels, guidance=guidance)
    show(outcome)
    show(f"Animation: {movie}")


if __name__ == "__main__":
    run_script(main)
