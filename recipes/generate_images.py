"""Trains a diffusion model and draws new images: handwritten digits by default.

    python recipes/generate_images.py --out runs/images

Ends with the loss on images that the model has not seen, with how near its own images are to real ones by
their pixels and whether they are copies, a picture and an animation of samples, and files to deploy that were
compared with the model. `l2zoo train --task generation` does the same with options, and trains a classifier
that judges what is drawn. Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load_train_test
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA, SIDE = "l2zoo_digits", 28  # or folder:PATH; without classes it learns to draw without
STEPS, GUIDANCE = 50, 2.0  # of DDIM; more guidance for images more like their class
SAMPLES = 500  # drawn to be judged
L2 = 1e-6
FORMATS = ("tflite",)


def main(
    out: Path = Path("runs/images"), epochs: int = 60, limit: int | None = None, samples: int = SAMPLES
) -> None:
    """Trains, measures and exports a model that draws images."""
    from l2zoo.tasks import Generation, Judge, denoising_gif

    train, test = load_train_test(DATA, task="generation", image_size=(SIDE, SIDE), limit=limit)

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build("diffusion", train.image_shape, train.num_classes or None, l2=policy)

    judge = Judge(
        train, n=samples, steps=STEPS, guidance=GUIDANCE if train.num_classes else 1.0, progress=True
    )
    outcome = l2zoo.experiment(
        build,
        Generation(train.class_names, judge),
        train,
        test,
        training=l2zoo.Training(epochs, batch_size=64, average=0.99),
        l2=L2,
        formats=FORMATS,
        directory=out,
    )
    labels = [number % train.num_classes for number in range(16)] if train.num_classes else None
    movie = denoising_gif(
        outcome.model, out / "denoising.gif", steps=STEPS, labels=labels, guidance=judge.guidance
    )
    show(outcome, f"Animation: {movie}")


if __name__ == "__main__":
    run_script(main)
