"""The artifact of an experiment: the first model with its card, and what rounding costs all seeds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from l2zoo.artifacts import Artifact, Card, Conversion, Limits, export
from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.data import ImageData
from l2zoo.data.splits.holdout import SEED
from l2zoo.stats.summary import mean_and_error
from l2zoo.studies.experiment.settings import Data, Task, Training
from l2zoo.utils.validation import one_of

CALIBRATION_IMAGES = 200  # of the training set, on which int8 learns its ranges
PARITY_IMAGES = 1000  # of the test set, on which exported files are compared with the model
_ANY = 1e9  # what a file that is thrown away may lose: it is told, whatever it is
# What no figure of the test set shows.
_LIMITS = {
    "classification": "Any image gets one of the classes, also one that shows none of them. How far its "
    "probabilities can be believed (`calibration_error`) is known of the test images alone.",
    "segmentation": "Any pixel gets one of the classes, also where there is something else.",
    "detection": "What is much smaller or larger than in the training images, or more crowded, it may miss.",
    "generation": "It draws what its training images show, in their size, and at times nearly one of them.",
    "regression": "Any image gets a number, also one that shows nothing of the kind, and not how sure "
    "the model is.",
    "multilabel": "Nobody has checked how far its probabilities can be believed, nor whether 0.5 is the best "
    "threshold for each class.",
    "video": "What it says of far frames is vague: it was trained on the next one alone.",
}
_WHAT = {
    "multilabel": "Several labels an image",
    "generation": "Generation of images",
    "video": "Prediction of the frames that follow",
}


def check_task(task: Task) -> None:
    """Raises unless an artifact can say what a model of this task is for."""
    one_of("task.name", task.name, tuple(_LIMITS))


def card_of(
    model: keras.Model,
    task: Task,
    train: Data,
    test: Data,
    *,
    training: Training,
    l2: float,
    seeds: int,
    note: str,
) -> Card:
    """What the artifact's card says of the model and its data, without the picture."""
    names, several = list(task.class_names), task.name == "multilabel"
    of = f" of {len(names)} classes: {', '.join(names[:50])}" if names else ""
    how = [
        f"{training.epochs} epochs in batches of {training.batch_size}",
        f"{training.optimizer} with a learning rate of {training.learning_rate:g} ({training.schedule})",
        f"augmentation: {training.augment}",
        f"L2 of {l2:g} in Keras's convention{', decoupled' if training.optimizer == 'adamw' else ''}",
    ]
    how += [f"the average of the weights (momentum {training.average:g})"] if training.average else []
    how += ["mixed precision"] if training.mixed_precision else []
    trained = f"Trained: {'; '.join(how)}. This is the model of seed 0, of {seeds}."
    about = f"{_WHAT.get(task.name, task.name.capitalize())}{of}.\n\n{trained}"
    limits = (
        f"Limits: {_LIMITS[task.name]} It was measured on {_side(test)} alone: {_things(test)} from "
        "elsewhere, by other cameras or other hands, are likely to cost more than the figures below show."
    )
    return Card(
        name=f"{model.name}, {train.name}",
        about="\n\n".join(part for part in (about, note, limits) if part),
        data=data_in_words(train, test),
        task="classification" if several else task.name,
        output_kind="multilabel" if several else None,
        class_names=names or None,
        aspect=getattr(train, "aspect", "stretch"),  # clips have none
    )


def data_in_words(train: Data, test: Data) -> str:
    """What a model was trained and measured on, read from the data themselves."""
    said = [f"Trained on {_side(train)}, measured on {_side(test)}."]
    if test.holdout is not None:
        what = "of each class" if isinstance(test, ImageData) and test.task == "classification" else "of all"
        how = "whole groups" if getattr(test, "groups", None) is not None else f"that share {what}"
        said.append(
            f"The data has no test split of its own: {100 * test.holdout:g} % was held out ({how}, always "
            f"by the seed {SEED})."
        )
    if all(getattr(data, "groups", None) is not None for data in (train, test)):
        said.append("No group of images is in both.")
    return " ".join([*said, f"License: {train.license or 'the data set states none'}."])


def _side(data: Data) -> str:
    """How many examples of which data, and which part of it."""
    count = f"{data.num_examples:,} {_things(data)}"
    return (
        f'{count} given as arrays, "{data.split}"'
        if data.name == "arrays"
        else (f"{count} of {data.name} {data.split}")
    )


def _things(data: Data) -> str:
    return "images" if isinstance(data, ImageData) else "clips"


def export_model(
    model: keras.Model,
    task: Task,
    train: Data,
    test: Data,
    folder: Path,
    *,
    formats: Sequence[str],
    card: Card | None = None,
    metrics: Mapping[str, Sequence[float]] | None = None,
    metric_drop: float = Limits.metric_drop,
) -> Artifact:
    """Exports a trained model; what is in `folder` is replaced.

    Args:
        model: As it was trained.
        task: What it is for.
        train: Training images, on which quantised files are calibrated.
        test: Test images, on which files are compared with the model.
        folder: Where to.
        formats: What `export` takes.
        card: What a reader should know.
        metrics: Name to the value of each seed, for the card.
        metric_drop: How much of a metric a rounded file may lose.

    Raises:
        ValueError: A file cannot be written, or does not answer like the model.
    """
    sample, targets = task.examples(model, test, PARITY_IMAGES)
    calibration, _ = task.examples(model, train, CALIBRATION_IMAGES)
    summary = {}
    for name, values in (metrics or {}).items():
        mean, error = mean_and_error(values)
        summary[f"test_{name}"] = mean if error is None else {"mean": mean, "se": error, "seeds": len(values)}
    return export(
        task.deployed(model),
        folder,
        sample=sample,
        formats=formats,
        limits=Limits(
            max_abs_diff=task.scale * Limits.max_abs_diff,
            max_abs_diff_float16=task.scale * Limits.max_abs_diff_float16,
            metric_drop=metric_drop,
        ),
        measure=lambda outputs: task.scores(outputs, targets),
        conversion=Conversion(calibration=calibration),
        metrics=summary,
        card=card,
        overwrite=True,
    )


def rounded_formats(formats: Sequence[str]) -> list[str]:
    """Those of some formats whose numbers are rounded, so that their metrics are their own."""
    return [name for name in formats if FORMATS[name].rounding != "float32"]


def rounded_scores(
    model: keras.Model, task: Task, train: Data, test: Data, formats: Sequence[str]
) -> dict[str, float]:
    """What the task's scores are of files in these formats, which are thrown away.

    Returns:
        By the name of the score and the format, as in `accuracy_int8`, on the test images with which files
        are compared.
    """
    with tempfile.TemporaryDirectory() as folder:
        artifact = export_model(
            model, task, train, test, Path(folder) / "artifact", formats=formats,
            metric_drop=_ANY,
        )  # fmt: skip
    return {
        f"{name}_{kind.removeprefix('tflite_')}": pair["file"]
        for kind in formats
        for name, pair in artifact.parity[kind].metrics.items()
    }
