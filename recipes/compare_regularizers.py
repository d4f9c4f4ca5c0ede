"""Which regulariser for a classifier: none, L2, L1, decoupled decay, dropout, augmentation, the textbook's?

Each strength is chosen by cross-validation on the training images; then every variant is trained with the
same seeds and scored on the test images: once with the labels as they are, once with some made wrong.

    python recipes/compare_regularizers.py --out runs/compare
    python recipes/compare_regularizers.py --data mnist --limit 1000 --out runs/mnist
    python recipes/compare_regularizers.py --data folder:PATH --noise 0 --augment flip+shift --out runs/mine

Ends with a table, a forest plot and `report.html` for each share of wrong labels. What came out is in the
README ("Which regulariser?"). Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import load
from l2zoo.studies.options import DataOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
L1_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)  # the absolute values of small numbers are larger than their squares
DECAYS = (1e-2, 1e-1, 1.0, 10.0)  # of the weights, times the learning rate, a step

DEFAULTS = DataOptions()


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with class folders.")
    ] = "l2zoo_digits",
    options: DataOptions = DEFAULTS,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = 300,
    noise: Annotated[str, typer.Option(help="Shares of labels to make wrong, as in 0,0.2.")] = "0,0.2",
    model: Annotated[str, typer.Option(help="A classifier from the zoo: see l2zoo list.")] = "cnn_plain",
    augment: Annotated[
        str, typer.Option(help="The augmentation that is compared, as in shift+zoom.")
    ] = "zoom",
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Adam's highest.")] = 2e-3,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation that chooses strengths.")] = 5,
    seeds: Annotated[int, typer.Option(help="Trainings of every variant, at least 2.")] = 5,
    workers: Annotated[int, typer.Option(help="Trainings at the same time; more than 1 needs Ray.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/compare"),
) -> None:
    """Compares regularisers, on clean labels and on wrong ones."""
    from l2zoo import L2Policy, Training, Variant, compare

    images = options.loader(load, data)
    every, test = images.train_and_test()
    shape, num_classes = test.image_shape, test.num_classes

    def build(policy: L2Policy) -> Any:
        return l2zoo.build(model, shape, num_classes, l2=policy, options={"dropout": 0.0})

    def with_dropout(policy: L2Policy) -> Any:
        return l2zoo.build(model, shape, num_classes, l2=policy, options={"dropout": 0.5})

    variants = [
        Variant("none"),
        Variant("L2", strengths=STRENGTHS),
        Variant("L1", l2=lambda strength: L2Policy(0.0, l1=strength), strengths=L1_STRENGTHS),
        Variant("AdamW", optimizer="adamw", strengths=DECAYS),
        Variant("dropout", build=with_dropout),
        Variant(augment, augment=augment),
        Variant(
            "textbook",  # 1/(2n) * sum of squared errors + s/(2m) * sum(w ** 2), with Adam
            l2=L2Policy(1.0, convention="mean"), strengths=(1.0, 1e1, 1e2, 1e3), loss="squared_error",
        ),
    ]  # fmt: skip
    for share in (float(part) for part in noise.split(",")):
        few = None if limit is None else min(limit, every.num_examples)
        train = images.again(every, test)(limit=few, label_noise=share)
        found = compare(
            build, train, variants, test=test, training=Training(epochs, batch_size, "adam", learning_rate),
            folds=folds, seeds=seeds, workers=workers, directory=out / f"noise_{share:g}",
        )  # fmt: skip
        heading = f"\n{train.num_examples} training images, {share:.0%} of their labels wrong"
        show(heading, found, f"Picture, table and report.html: {out / f'noise_{share:g}'}\n")


if __name__ == "__main__":
    run_script(main)
