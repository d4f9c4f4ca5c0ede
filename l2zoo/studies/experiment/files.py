"""The files of an experiment: the first model as an artifact, and what rounding costs that of every seed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from l2zoo.artifacts import Artifact, Card, Conversion, Limits, export
from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.stats.summary import mean_and_error
from l2zoo.studies.experiment.settings import Data, Task

CALIBRATION_IMAGES = 200  # of the training set, on which int8 learns its ranges
PARITY_IMAGES = 1000  # of the test set, on which exported files are compared with the model
_ANY = 1e9  # what a file that is thrown away may lose: it is told, whatever it is


def exported(
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


def rounded(formats: Sequence[str]) -> list[str]:
    """Those of some formats whose numbers are rounded, so that their metrics are their own."""
    return [name for name in formats if FORMATS[name].rounding != "float32"]


def scores_of_rounded(
    model: keras.Model, task: Task, train: Data, test: Data, formats: Sequence[str]
) -> dict[str, float]:
    """What the task's scores are of files in these formats, which are thrown away.

    Returns:
        By the name of the score and the format, as in `accuracy_int8`, on the test images with which files
        are compared.
    """
    with tempfile.TemporaryDirectory() as folder:
        artifact = exported(
            model, task, train, test, Path(folder) / "artifact", formats=formats,
            metric_drop=_ANY,
        )  # fmt: skip
    return {
        f"{name}_{kind.removeprefix('tflite_')}": pair["file"]
        for kind in formats
        for name, pair in artifact.parity[kind].metrics.items()
    }
