"""Which L2 does a classifier need on given data, and does it need any?

Chooses lambda by cross-validation on the training split, trains the chosen model on all of it, tests it once
on the test split, and exports it to files that are compared with the model. This is what `make demo` runs:

    python recipes/tune_l2.py --out runs/demo
    python recipes/tune_l2.py --limit 600 --label-noise 0.2 --epochs 40 --seeds 2 --out runs/noisy
    python recipes/tune_l2.py --strategy hyperband --workers 2 --out runs/quick
    python recipes/tune_l2.py --strategy bayesian --space lr --metric val_data_loss --out runs/with_lr

What came out is in the README ("Does L2 help?"); which strategy to take is in recipes/README.md. Stopped in
the middle, the same command goes on. The default model has no batch norm, so that L2 does what textbooks say
it does; compare `--model cnn`, which has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.artifacts import Card
from l2zoo.data import load
from l2zoo.studies.experiment import data_in_words
from l2zoo.studies.options import DataOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = DataOptions()


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with class folders.")
    ] = "l2zoo_digits",
    options: DataOptions = DEFAULTS,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = None,
    label_noise: Annotated[float, typer.Option(help="Share of training labels to make wrong, 0 to 1.")] = 0.0,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "cnn_plain",
    strengths: Annotated[
        str, typer.Option(help="As in 0,1e-4,1e-2; default: half decades, 1e-6 to 0.1.")
    ] = "",
    strategy: Annotated[str, typer.Option(help="grid, random, bayesian or hyperband.")] = "grid",
    max_trials: Annotated[int | None, typer.Option(help="How many configurations to try.")] = None,
    space: Annotated[str, typer.Option(help="lr: search the learning rate too; empty: do not.")] = "",
    metric: Annotated[str, typer.Option(help="The score: val_accuracy, or val_data_loss.")] = "val_accuracy",
    workers: Annotated[int, typer.Option(help="Trainings at the same time; more than 1 needs Ray.")] = 1,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5,
    seeds: Annotated[int, typer.Option(help="How often all is repeated with other folds.")] = 1,
    until: Annotated[
        float | None, typer.Option(help="Go on with fresh folds until an effect of this size can be told.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 2e-3,
    out: Annotated[Path, typer.Option(help="Folder for the ledger, the picture and the artifact.")] = Path(
        "runs/tune_l2"
    ),
) -> None:
    """Chooses the strength of L2 by cross-validation, and exports the chosen model, checked."""
    if space not in ("", "lr"):
        raise ValueError(f"--space must be lr or empty, got {space!r}.")
    train, test = options.loader(load, data).train_and_test(limit=limit, label_noise=label_noise)
    shape, num_classes = train.image_shape, train.num_classes  # `build` goes to workers without the data

    import keras

    def build(l2: float, hp: Any = None) -> Any:
        built = l2zoo.build(model, shape, num_classes=num_classes, l2=l2)
        adam = keras.optimizers.Adam(hp.get("learning_rate") if hp else learning_rate)
        built.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return built

    def rates(hp: Any) -> None:
        if strategy == "grid":
            hp.Choice("learning_rate", [learning_rate * factor for factor in (0.25, 0.5, 1, 2)])
        else:
            hp.Float("learning_rate", learning_rate / 10, learning_rate * 10, sampling="log")

    result = l2zoo.tune_l2(
        build, train,
        strengths=[float(number) for number in strengths.split(",")] if strengths else None,
        strategy=strategy, max_trials=max_trials, space=rates if space else None, objective=metric,
        folds=folds, seeds=seeds, until=until, epochs=epochs, batch_size=batch_size, workers=workers,
        directory=out,
    )  # fmt: skip
    picture = result.plot(out / "lambda.png")
    for kind in ["learning", "plane"] if space else ["learning"]:
        result.plot(out / f"{kind}.png", kind=kind)
    images, labels = test.arrays()
    accuracy = result.model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"]
    artifact = l2zoo.export(
        result.model,
        out / "artifact",
        sample=images,
        metrics={"test_accuracy": accuracy},
        card=Card(
            name=model, data=data_in_words(train, test), class_names=train.class_names, picture=picture
        ),
        overwrite=True,
    )

    show(result.table(), f"\n{result.verdict}")
    show(result.edge or f"The largest strength within one standard error of the best: {result.one_se:g}.")
    show(f"\n{l2zoo.audit(result.model).summary}")
    settings = ", ".join(f"{name} {value:g}" for name, value in result.values.items())
    show(f"{model} on all {train.num_examples} images at {settings}: test accuracy {accuracy:.4f}.")
    show(f"The search took {result.epochs} epochs and {result.seconds:.0f} s.")
    show(f"\n{artifact}\n\nReport: {out / 'report.html'}\nPicture: {picture}\nArtifact: {artifact.folder}")


if __name__ == "__main__":
    run_script(main)
