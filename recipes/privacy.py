"""What does L2 do against memory? Can one tell the images a classifier was trained on, at each strength?

Trains a small CNN on few real digits without L2 and with more and more of it, and attacks each of the models:
by the loss of an image, and by LiRA, which compares with models that have not seen the image.

    python recipes/privacy.py --out runs/privacy
    python recipes/privacy.py --label-noise 0.2 --out runs/privacy_noisy
    python recipes/privacy.py --data mnist --images 2000 --references 16 --out runs/privacy_mnist

Ends with a table, and with a picture of what is given away and what L2 costs. What came out is in the README
("What does the model give away?"). Stopped in the middle, the same command goes on from the reference models
that are finished.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import l2zoo
from l2zoo.data import load
from l2zoo.studies.options import SourceOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = SourceOptions()


def apart(groups: np.ndarray, order: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """So many rows, group after group in the order of their first rows, and those of other groups."""
    _, first, numbers = np.unique(groups[order], return_index=True, return_inverse=True)
    order = order[np.argsort(first[numbers], kind="stable")]
    members = order[:images]
    return members, order[~np.isin(groups[order], groups[members])]


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with class folders.")
    ] = "l2zoo_digits",
    options: SourceOptions = DEFAULTS,
    images: Annotated[int, typer.Option(help="Train on so many; as many others are not shown.")] = 400,
    label_noise: Annotated[float, typer.Option(help="Share of labels to make wrong, 0 to 1.")] = 0.0,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "cnn_plain",
    strengths: Annotated[
        str, typer.Option(help="Strengths of L2, in Keras's convention.")
    ] = "0,1e-4,1e-3,3e-3,1e-2,3e-2",
    references: Annotated[int, typer.Option(help="Models to compare with, for each strength; even.")] = 8,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Of the division of the images and of all trainings.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for pictures and finished models.")] = Path(
        "runs/privacy"
    ),
) -> None:
    """Measures what a classifier gives away about its training data, at several strengths."""
    import keras

    from l2zoo.studies.privacy import plot_strengths, table_of_strengths

    everything = options.loader(load, data).train(label_noise=label_noise)
    x, y = everything.arrays()
    if 2 * images > len(x):
        raise ValueError(f"--images must be at most {len(x) // 2}, half of what there is, got {images}.")
    # By chance, so that the two sets differ in nothing but in what the model has seen.
    order = np.random.default_rng(seed).permutation(len(x))
    members, others = order[:images], order[images:]
    if everything.groups is not None:
        members, others = apart(everything.groups, order, images)
    others = others[:images]
    if len(others) < images:
        raise ValueError(
            f"--images must leave as many others, got {images} and {len(others)} of other groups."
        )

    def build(l2: float) -> keras.Model:
        built = l2zoo.build(model, everything.image_shape, everything.num_classes, l2=l2)
        adam = keras.optimizers.Adam(learning_rate)
        built.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return built

    reports = {}
    for l2 in sorted({float(number) for number in strengths.split(",")}):
        keras.utils.set_random_seed(seed)
        trained = build(l2)
        trained.fit(x[members], y[members], epochs=epochs, batch_size=batch_size, verbose=0)
        reports[l2] = l2zoo.privacy_audit(
            trained,
            (x[members], y[members]),
            (x[others], y[others]),
            build=functools.partial(build, l2),
            epochs=epochs,
            batch_size=batch_size,
            references=references,
            seed=seed,
            directory=out / f"references_{l2:g}",
        )
        show(f"l2={l2:g}: {reports[l2].sentence}\n")
    show(table_of_strengths(reports), f"\nPicture: {plot_strengths(reports, out / 'strengths.png')}")
    show(f"Curves of the weakest strength: {reports[min(reports)].plot(out / 'roc.png')}")


if __name__ == "__main__":
    run_script(main)
