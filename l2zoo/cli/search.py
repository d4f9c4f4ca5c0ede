"""The command that does the main job: which lambda, and does L2 help here at all?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2zoo.cli import options
from l2zoo.cli.models import print_json
from l2zoo.studies.options import DataOptions
from l2zoo.utils.console import print_to_stderr, show
from l2zoo.utils.scripts import script_command

if TYPE_CHECKING:
    from l2zoo.artifacts import Artifact
    from l2zoo.data import ImageData
    from l2zoo.search.result import SearchResult

RATES = (0.25, 0.5, 1, 2)  # of the learning rate, that a grid tries


@dataclass(frozen=True, kw_only=True)
class SearchOptions(DataOptions):
    """How the strength is chosen, and what is written."""

    model: options.Classifier = "cnn_plain"
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = None
    label_noise: Annotated[float, typer.Option(help="Share of training labels to make wrong, 0 to 1.")] = 0.0
    strengths: Annotated[
        str, typer.Option(help="As in 0,1e-4,1e-2; if not said, half decades from 1e-6 to 0.1.")
    ] = ""
    strategy: Annotated[str, typer.Option(help="grid, random, bayesian or hyperband.")] = "grid"
    max_trials: Annotated[int | None, typer.Option(help="How many configurations to try.")] = None
    space: Annotated[str | None, options.word(lambda: ("lr",), help="lr: search the learning rate too.")] = (
        None
    )
    metric: Annotated[str, typer.Option(help="The score: val_accuracy, or val_data_loss.")] = "val_accuracy"
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5
    seeds: Annotated[int, typer.Option(help="How often all is repeated with other folds.")] = 1
    until: Annotated[
        float | None, typer.Option(help="Go on with fresh folds until an effect of this size can be told.")
    ] = None
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 2e-3
    workers: Annotated[int, typer.Option(help="Trainings at the same time; more than 1 needs Ray.")] = 1
    formats: options.Formats = "savedmodel,tflite"
    out: Annotated[Path, typer.Option(help="Folder for the ledger, the report and the artifact.")] = Path(
        "runs/tune"
    )

    def check(self) -> None:
        """Refuses, before data are read, what they could not mend."""
        from l2zoo import zoo
        from l2zoo.artifacts.formats import table

        zoo.find(self.model, task="classification")
        table.select(self.formats.split(","))

    def search(self, train: ImageData) -> SearchResult:
        """Chooses the strength, and trains the model on all images with it."""
        import keras

        from l2zoo.search.tune_l2 import tune_l2
        from l2zoo.zoo import build as build_model

        name, shape, classes = self.model, train.image_shape, train.num_classes
        rate = self.learning_rate

        def build(l2: float, hp: Any = None) -> keras.Model:  # goes to workers, without the images
            model = build_model(name, shape, classes, l2=l2)
            adam = keras.optimizers.Adam(hp.get("learning_rate") if hp else rate)
            model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        return tune_l2(
            build, train,
            strengths=options.numbers(self.strengths, "--strengths") if self.strengths else None,
            strategy=self.strategy, max_trials=self.max_trials, space=self.rates if self.space else None,
            objective=self.metric, folds=self.folds, seeds=self.seeds, until=self.until, epochs=self.epochs,
            batch_size=self.batch_size, workers=self.workers, directory=self.out,
        )  # fmt: skip

    def rates(self, hp: Any) -> None:
        """Declares the learning rates that are searched."""
        if self.strategy == "grid":
            hp.Choice("learning_rate", [self.learning_rate * factor for factor in RATES])
        else:
            hp.Float("learning_rate", self.learning_rate / 10, self.learning_rate * 10, sampling="log")

    def draw(self, result: SearchResult) -> Path:
        """Draws the score against the strength, and what else there is."""
        for kind in ("learning", "plane") if self.space else ("learning",):
            result.plot(self.out / f"{kind}.png", kind=kind)
        return result.plot(self.out / "lambda.png")

    def export(
        self, result: SearchResult, train: ImageData, test: ImageData, picture: Path
    ) -> tuple[Artifact, float]:
        """Writes the model as files that were compared with it; and its accuracy on the test images."""
        from l2zoo.artifacts import Card, export
        from l2zoo.studies.experiment import data_in_words

        images, labels = test.arrays()
        accuracy = result.model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"]
        made = script_command()
        card = Card(
            name=self.model,
            about=f"{result.verdict}\n\n{f'Made by `{made}`.' if made else ''}".strip(),
            data=data_in_words(train, test),
            class_names=train.class_names,
            picture=picture,
        )
        artifact = export(
            result.model,
            self.out / "artifact",
            sample=images,
            formats=self.formats.split(","),
            metrics={"test_accuracy": accuracy},
            card=card,
            overwrite=True,
        )
        return artifact, accuracy


DEFAULTS = SearchOptions()


def tune(data: options.Data, settings: SearchOptions = DEFAULTS, json: options.Json = False) -> None:
    """Choose lambda by cross-validation, and export the chosen model.

    It says whether L2 helps here, trains the chosen model on all training images, tests it once, and compares
    the files with it. Stopped in the middle, the same command goes on.

    The default model has no batch norm, so that L2 does what textbooks say; compare --model cnn, which has.

    Example: l2zoo tune l2zoo_digits --limit 300 --strengths 0,1e-3,1e-2 --epochs 10 --out runs/digits
    """
    settings.check()
    with print_to_stderr(json):
        from l2zoo.data import load

        both = settings.loader(load, data).train_and_test(
            limit=settings.limit, label_noise=settings.label_noise
        )
        result = settings.search(both[0])
        picture = settings.draw(result)
        artifact, accuracy = settings.export(result, *both, picture)
    files = {"report": settings.out / "report.html", "picture": picture, "artifact": artifact.folder}
    if json:
        print_json(
            {
                **result.to_dict(),
                "verdict_in_words": str(result.verdict),
                "test_accuracy": accuracy,
                "files": {name: str(path) for name, path in files.items()},
            }
        )
        return
    show(result.table(), f"\n{result.verdict}")
    show(*_told(settings, result, both[0], accuracy), "", artifact, "")
    show(*(f"{name.capitalize()}: {path}" for name, path in files.items()))


def _told(settings: SearchOptions, result: SearchResult, train: ImageData, accuracy: float) -> list[str]:
    from l2zoo.regularization.audit import audit

    values = ", ".join(f"{name} {value:g}" for name, value in result.values.items())
    return [
        result.edge or f"The largest strength within one standard error of the best: {result.one_se:g}.",
        f"\n{audit(result.model).summary}",
        f"{settings.model} on all {train.num_examples} images at {values}: test accuracy {accuracy:.4f}.",
        f"The search took {result.epochs} epochs and {result.seconds:.0f} s.",
    ]
