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
from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import divided, load
from l2zoo.studies.options import ExperimentOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = ExperimentOptions(
    l2=1e-6, tune_images=1200, tune_epochs=40, epochs=60, batch_size=64, out=Path("runs/images")
)
FRESH = 1000  # images, of those that --limit leaves out, that are compared with the training images


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with images or class folders.")
    ] = "l2zoo_digits",
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "diffusion",
    filters: Annotated[str, typer.Option(help="Channels at stride 1, 2, 4, ...")] = "16,32,64",
    augment: Annotated[str, typer.Option(help="As in flip+shift, or none.")] = "none",
    average: Annotated[float, typer.Option(help="Momentum of the average of the weights, or 0.")] = 0.99,
    judge_epochs: Annotated[
        int, typer.Option(help="Epochs of the classifier that judges; 0: pixels are compared.")
    ] = 20,
    samples: Annotated[int, typer.Option(help="Images that are drawn and judged.")] = 1000,
    steps: Annotated[int, typer.Option(help="Of drawing an image.")] = 50,
    guidance: Annotated[float, typer.Option(help="1, or more for images more like their class.")] = 2.0,
    options: ExperimentOptions = DEFAULTS,
) -> None:
    """Trains, measures and exports a model that draws images."""
    if options.image_size is None and data == "l2zoo_digits":
        options = dataclasses.replace(options, image_size=28)
    images = options.loader(load, data, task="generation")
    (train, test), fresh = images.train_and_test(), None
    searched = images.again(train, test)
    if options.limit is not None:
        train, fresh = divided(train, options.limit)
        fresh = divided(fresh, FRESH)[0] if fresh and fresh.num_examples > FRESH else fresh
    guidance = guidance if train.num_classes else 1.0
    training = options.training(augment=augment, average=average)
    channels = tuple(int(number) for number in filters.split(","))

    from l2zoo.studies.experiment import Training, train_model
    from l2zoo.tasks import Classification, Generation, Judge, denoising_gif

    def build(policy: l2zoo.L2Policy) -> Any:
        classes = train.num_classes or None
        return l2zoo.build(model, train.image_shape, classes, l2=policy, options={"filters": channels})

    def build_judge(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build("resnet20", train.image_shape, train.num_classes, l2=policy)

    judge = Judge(train, n=samples, steps=steps, guidance=guidance, progress=True, fresh=fresh)
    Generation(train.class_names, judge).check(build(training.policy(0.0)), test)  # before anything trains
    if judge_epochs and train.num_classes > 1:
        classifier = train_model(
            build_judge, Classification(train.class_names), train,
            training=Training(judge_epochs, augment="shift"), l2=5e-5, seed=0, run_dir=options.out / "judge",
        )  # fmt: skip
        judge = dataclasses.replace(judge, classifier=classifier)
    outcome = options.run(
        build, Generation(train.class_names, judge), train, test,
        training=training, searched=searched,
    )  # fmt: skip
    labels = [number % train.num_classes for number in range(16)] if train.num_classes else None
    path = options.out / "denoising.gif"
    movie = denoising_gif(outcome.model, path, steps=steps, labels=labels, guidance=guidance)
    show(outcome, f"Animation: {movie}")


if __name__ == "__main__":
    run_script(main)
