"""`experiment`: one model trained with several seeds, judged on a test set, drawn and exported."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from l2zoo.arguments import check_number, whole_number
from l2zoo.artifact import Artifact, Card, Conversion, Limits, export
from l2zoo.data import ImageData, VideoData
from l2zoo.data.prepared import Prepared
from l2zoo.policy import L2Policy
from l2zoo.replacing import replacing
from l2zoo.tasks.optimizers import optimizer
from l2zoo.training import fit
from l2zoo.tuning.result import SearchResult
from l2zoo.tuning.search import tune_l2

if TYPE_CHECKING:
    from rich.table import Table

FORMATS = ("savedmodel", "tflite")
CALIBRATION_IMAGES = 200  # of the training set, on which int8 learns its ranges
PARITY_IMAGES = 256  # of the test set, on which exported files are compared with the model
# Of a search whose trainings are long: a decade apart, as half decades would cost twice as much.
STRENGTHS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


Data = ImageData | VideoData  # the latter of a VideoPrediction


class Task(Protocol):
    """What `l2zoo.tasks` has of each task, such as `Classification` and `VideoPrediction`."""

    name: Any
    class_names: Any
    objective: Any
    scale: Any  # of what the deployed model answers: rounding errors are compared with it

    def compiling(self) -> dict[str, Any]: ...
    def prepared(self, data: Any, *, augment: str = "none") -> Prepared: ...
    def measure(self, model: keras.Model, data: Any) -> dict[str, float]: ...
    def scores(self, outputs: Any, targets: Any) -> dict[str, float]: ...
    def examples(self, model: keras.Model, data: Any, most: int) -> tuple[Any, Any]: ...
    def deployed(self, model: keras.Model) -> keras.Model: ...
    def picture(self, model: keras.Model, data: Any, path: str | Path) -> Path: ...


@dataclasses.dataclass(frozen=True)
class Training:
    """How a model is trained, but for its L2.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a step.
        optimizer: `"sgd"`, `"adam"` or `"adamw"`; L2 is decoupled with the last one.
        learning_rate: The highest.
        schedule: `"cosine"`, `"step"` or `"constant"`.
        augment: What `l2zoo.tasks.augmentation` takes, as in `"flip+shift"`.
        average: Momentum of a moving average of the weights, 0 for none.
        mixed_precision: Whether layers compute in 16 bits, as in `fit`. A search does not.
    """

    epochs: int
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    augment: str = "none"
    average: float = 0.0
    mixed_precision: bool = False

    def policy(self, l2: float) -> L2Policy:
        """The policy for a strength."""
        return L2Policy(l2, decoupled=self.optimizer == "adamw")

    def compile(self, model: keras.Model, task: Task, policy: L2Policy, *, num_examples: int) -> keras.Model:
        """Compiles a model for as many steps as the training will have."""
        steps = self.epochs * math.ceil(num_examples / self.batch_size)
        chosen: Any = optimizer(
            self.optimizer,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            steps=steps,
            average=self.average,
        )
        if policy.decoupled:
            chosen = policy.optimizer(chosen, model)
        model.compile(chosen, **task.compiling())
        return model


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        l2: The strength.
        seeds: One training each.
        metrics: Name to the value of each seed, on the test set.
        model: That of the first seed.
        parameters: Of the model.
        seconds: Of the trainings that this call did.
        picture: What the model says of some test images.
        artifact: The exported model.
    """

    l2: float
    seeds: tuple[int, ...]
    metrics: Mapping[str, tuple[float, ...]]
    model: keras.Model = dataclasses.field(repr=False)
    parameters: int
    seconds: float
    picture: Path
    artifact: Artifact = dataclasses.field(repr=False)

    def table(self) -> Table:
        """Mean and standard error of every metric."""
        from rich.table import Table

        table = Table(title=f"Test set, {len(self.seeds)} seeds, l2={self.l2:g}")
        for heading in ("metric", "mean", "standard error", "each seed"):
            table.add_column(heading, justify="left" if heading == "metric" else "right")
        for name, values in self.metrics.items():
            mean, error = mean_and_error(values)
            each = " ".join(f"{value:.4f}" for value in values)
            table.add_row(name, f"{mean:.4f}", "" if error is None else f"{error:.4f}", each)
        return table


def experiment(
    build: Callable[[L2Policy], keras.Model],
    task: Task,
    train: Data,
    test: Data,
    *,
    training: Training,
    directory: str | Path,
    l2: float = 0.0,
    seeds: int = 1,
    formats: Sequence[str] = FORMATS,
    verbose: str | int = "auto",
) -> Outcome:
    """Trains a model with several seeds, measures each on the test set, and exports the first.

    The test set decides nothing: neither the strength nor the number of epochs. Everything is kept in
    `directory`; stopped in the middle, the same call goes on.

    Args:
        build: Makes a model, not compiled, with a policy on it.
        task: What it is for.
        train: The training images, or clips.
        test: The test images, or clips.
        training: How it is trained.
        directory: Folder for `seed0/`, ..., `metrics.json`, `predictions.png` and `artifact/`.
        l2: The strength of L2, in Keras's convention.
        seeds: How many trainings; each seed has its own initial weights, batches and augmentation.
        formats: What `export` takes. Quantised files are calibrated on training images, and shipped if
            they lose at most 0.01 of the task's metrics on test images.
        verbose: Of Keras's `fit`.

    Returns:
        The metrics of every seed, and the model of the first.

    Raises:
        ValueError: Numbers out of range; a directory of another experiment.
    """
    whole_number("seeds", seeds, at_least=1)
    directory = Path(directory)
    strength = check_number("l2", l2)
    started = time.perf_counter()
    first: keras.Model | None = None
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        model = trained(
            build, task, train, training=training, l2=strength, seed=seed,
            run_dir=directory / f"seed{seed}", verbose=verbose,
        )  # fmt: skip
        for name, value in task.measure(model, test).items():
            found.setdefault(name, []).append(value)
        first = first or model
    seconds = time.perf_counter() - started
    assert first is not None
    metrics = {name: tuple(values) for name, values in found.items()}
    _write(directory / "metrics.json", strength, training, metrics)
    picture = task.picture(first, test, directory / "predictions.png")
    artifact = _exported(first, task, train, test, metrics, picture, formats, directory / "artifact")
    return Outcome(
        strength, tuple(range(seeds)), metrics, first, first.count_params(), seconds, picture, artifact
    )


def trained(
    build: Callable[[L2Policy], keras.Model],
    task: Task,
    train: Data,
    *,
    training: Training,
    l2: float,
    seed: int,
    run_dir: Path,
    verbose: str | int = "auto",
) -> keras.Model:
    """A model trained from the weights of a seed; what `run_dir` holds of it is not trained again."""
    keras.utils.set_random_seed(seed)
    policy = training.policy(l2)
    model = build(policy)
    training.compile(model, task, policy, num_examples=train.num_examples)
    fit(
        model,
        task.prepared(train, augment=training.augment),
        epochs=training.epochs,
        batch_size=training.batch_size,
        run_dir=run_dir,
        seed=seed,
        mixed_precision=training.mixed_precision,
        verbose=verbose,
    )
    return model


def search(
    build: Callable[[L2Policy], keras.Model],
    task: Task,
    data: Data,
    *,
    training: Training,
    directory: str | Path,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = 3,
) -> SearchResult:
    """Chooses the strength for an experiment by cross-validation, without augmentation.

    Args:
        build: Makes a model, not compiled, with a policy on it.
        task: What it is for.
        data: Training images, best no more than a search can take: as many as fit in memory.
        training: How a fold is trained.
        directory: Where the search is kept; the same call goes on there.
        strengths: The grid, by default 0 and the decades from 1e-6 to 1e-2.
        folds: At least 2.
    """

    def build_at(l2: float) -> keras.Model:
        policy = training.policy(l2)
        examples = data.num_examples * (folds - 1) // folds
        return training.compile(build(policy), task, policy, num_examples=examples)

    return tune_l2(
        build_at,
        task.prepared(data),
        strengths=strengths,
        folds=folds,
        epochs=training.epochs,
        batch_size=training.batch_size,
        objective=task.objective,
        directory=directory,
    )


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and its standard error, None of a single value.

    Example:
        >>> mean_and_error([1.0, 3.0])
        (2.0, 1.0)
    """
    mean = float(np.mean(values))
    return mean, float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def _exported(
    model: keras.Model,
    task: Task,
    train: Data,
    test: Data,
    metrics: Mapping[str, Sequence[float]],
    picture: Path,
    formats: Sequence[str],
    folder: Path,
) -> Artifact:
    sample, targets = task.examples(model, test, PARITY_IMAGES)
    calibration, _ = task.examples(model, train, CALIBRATION_IMAGES)
    summary = {}
    for name, values in metrics.items():
        mean, error = mean_and_error(values)
        summary[f"test_{name}"] = mean if error is None else {"mean": mean, "se": error, "seeds": len(values)}
    names = list(task.class_names)
    words = f" of {len(names)} classes: {', '.join(names[:50])}" if names else ""
    card = Card(
        name=model.name,
        about=f"{task.name.capitalize()}{words}.",
        data=f"Trained on {train.name} {train.split}, measured on {test.split}.",
        class_names=names if task.name in ("classification", "segmentation") else None,
        picture=picture,
    )
    return export(
        task.deployed(model),
        folder,
        sample=sample,
        formats=formats,
        limits=Limits(
            max_abs_diff=task.scale * Limits.max_abs_diff,
            max_abs_diff_float16=task.scale * Limits.max_abs_diff_float16,
        ),
        measure=lambda outputs: task.scores(outputs, targets),
        conversion=Conversion(calibration=calibration),
        metrics=summary,
        card=card,
        overwrite=True,
    )


def _write(path: Path, l2: float, training: Training, metrics: Mapping[str, Sequence[float]]) -> None:
    found = {"l2": l2, "training": dataclasses.asdict(training), "metrics": metrics}
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
