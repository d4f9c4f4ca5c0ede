"""`experiment`: one model trained with several seeds, judged on a test set, drawn and exported."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo.artifacts import manifest
from l2zoo.artifacts.formats import table
from l2zoo.data import ImageData, VideoData, check_splits
from l2zoo.regularization.policy import L2Policy
from l2zoo.search.result import SearchResult
from l2zoo.studies.experiment.artifact import (
    card_of,
    check_task,
    export_model,
    rounded_formats,
    rounded_scores,
)
from l2zoo.studies.experiment.page import write_page
from l2zoo.studies.experiment.result import Outcome
from l2zoo.studies.experiment.search import Search
from l2zoo.studies.experiment.settings import Data, Task, Training
from l2zoo.studies.privacy import privacy_audit
from l2zoo.studies.privacy.privacy_audit import FEWEST_IMAGES
from l2zoo.training import fit
from l2zoo.training.monitor import L2Monitor
from l2zoo.training.run_folder import differences
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.scripts import script_command
from l2zoo.utils.storage.earlier_run import KINDS, OtherRunError, check_kind
from l2zoo.utils.storage.files import write_json
from l2zoo.utils.storage.folders import check_replaceable
from l2zoo.utils.storage.held_folder import hold_folder
from l2zoo.utils.storage.reading import read_object
from l2zoo.utils.validation import check_number, whole_number

HEATMAP = "monitor.png"
FORMATS = ("savedmodel", "tflite")
DESCRIPTION = KINDS["an experiment"]
GIVEN = "The strength was given, not searched."


@suggest_arguments
def experiment(
    build: Callable[[L2Policy], keras.Model],
    task: Task,
    train: Data,
    test: Data,
    *,
    training: Training,
    directory: str | Path,
    l2: float | Search = 0.0,
    seeds: int = 1,
    formats: Sequence[str] = FORMATS,
    note: str = "",
    watch: bool = False,
    privacy: bool = False,
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
        directory: Folder for `seed0/`, ..., `metrics.json`, `predictions.png`, `report.html` and `artifact/`,
            and for `search/` if there is one.
        l2: The strength of L2, in Keras's convention, or how it is searched.
        seeds: How many trainings; each seed has its own initial weights, batches and augmentation.
        formats: What `export` takes. Quantised files are calibrated on training images, and shipped if
            they lose at most 0.01 of the task's metrics on test images. With several seeds, the model of
            each is rounded likewise and its metrics told, as `accuracy_int8`.
        note: For the artifact's card, in Markdown, such as limits. The command of a recipe and how a strength
            was searched are in it anyway.
        watch: Whether an `L2Monitor` looks at every kernel of the first training, and warns of trouble.
        privacy: Whether the first model is attacked (`privacy_audit`, by the loss): for classifiers.
        verbose: Of Keras's `fit`.

    Returns:
        The metrics of every seed, and the model of the first.

    Raises:
        TypeError: `train` is images and `test` clips, or the other way round.
        ValueError: Numbers out of range; an unknown format; a `task` whose name no artifact knows; test
            images of another shape or with other classes than the training images, or that are among these
            or among those of a search (`l2zoo.data.check_splits` says how that is found); a directory of
            another experiment or another kind of run, or one that another process writes into.
    """
    whole_number("seeds", seeds, at_least=1)
    table.select(formats)
    check_task(task)
    _check_alike(train, test)
    check_splits(train, test)
    if isinstance(l2, Search):
        check_splits(l2.data, test, names=("l2.data", "test"))
    if privacy:
        _check_attackable(task, train, test)
    directory = Path(directory)
    steps = training.steps(train.num_examples)
    check_kind(directory, "an experiment", argument="directory")
    check_replaceable(directory / "artifact", mark=manifest.FILE)
    asked = _description(task, train, test, training, l2)
    with hold_folder(directory, argument="directory"):
        _check_same(directory / DESCRIPTION, asked)
        strength, found, chosen = _strength(l2, build, task, directory / "search", steps)
        write_json(directory / DESCRIPTION, asked)
        started = time.perf_counter()
        models = (
            train_model(
                build, task, train, training=training, l2=strength, seed=seed,
                run_dir=directory / f"seed{seed}", watch=watch and not seed, verbose=verbose,
            )
            for seed in range(seeds)
        )  # fmt: skip
        # Of a single model, the artifact itself tells.
        rounded = rounded_formats(formats) if seeds > 1 else []
        first, metrics = _measure(models, task, train, test, rounded)
        seconds = time.perf_counter() - started
        _write(directory / "metrics.json", strength, training, metrics)
        picture = task.picture(first, test, directory / "predictions.png")
        attacked = privacy_audit(first, train, test) if privacy else None
        command = script_command()
        made, judged = f"Made by `{command}`." if command else "", getattr(task, "says", "")
        words = " ".join(filter(None, (made, chosen or GIVEN, judged, note)))
        card = card_of(first, task, train, test, training=training, l2=strength, seeds=seeds, note=words)
        said = "" if attacked is None else attacked.sentence
        artifact = export_model(
            first, task, train, test, directory / "artifact", formats=formats, metrics=metrics,
            card=dataclasses.replace(card, picture=picture, privacy=said),
        )  # fmt: skip
        heatmap = directory / "seed0" / HEATMAP
        outcome = Outcome(
            strength, tuple(range(seeds)), metrics, first, first.count_params(), seconds, picture, artifact,
            search=found, chosen=chosen, watched=heatmap if heatmap.is_file() else None, privacy=attacked,
            report=directory / "report.html",
        )  # fmt: skip
        write_page(
            outcome, directory / "report.html", training=training, data=card.data,
            kicker=f"{task.name.capitalize()}: {first.name} on {train.name}",
        )  # fmt: skip
        return outcome


def _description(
    task: Task, train: Data, test: Data, training: Training, l2: float | Search
) -> dict[str, Any]:
    """What decides the numbers, as far as it is known before anything is trained; as JSON values.

    A rate that is constant does not ask for how long, so that such a training may be prolonged.
    """
    how = dataclasses.asdict(training)
    if training.schedule == "constant":
        del how["epochs"]
    return {
        "task": str(task.name),
        "train": _data_in_short(train),
        "test": _data_in_short(test),
        "training": how,
        "l2": l2.describe() if isinstance(l2, Search) else f"given: {check_number('l2', l2)}",
    }


def _data_in_short(data: Data) -> dict[str, Any]:
    return {"name": data.name, "split": data.split, "examples": data.num_examples}


def _check_same(path: Path, asked: dict[str, Any]) -> None:
    """Raises before a search of hours where the trainings after it would be those of another experiment."""
    if not path.is_file() or not any(path.parent.glob("seed*/state.npz")):  # nothing was trained so far
        return
    different = differences(read_object(path, finite=False), asked)
    if different:
        raise OtherRunError(
            f"`directory` holds another experiment, got directory={str(path.parent)!r}: "
            f"{'; '.join(different)}."
        )


def _measure(
    models: Iterable[keras.Model], task: Task, train: Data, test: Data, rounded: Sequence[str]
) -> tuple[keras.Model, dict[str, tuple[float, ...]]]:
    """The first of some models, and the metrics of all, also in these formats; two at most are in memory."""
    first: keras.Model | None = None
    values: dict[str, list[float]] = {}
    for model in models:
        first = first or model
        found = task.measure(model, test)
        if rounded:
            found |= rounded_scores(model, task, train, test, rounded)
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    assert first is not None
    return first, {name: tuple(each) for name, each in values.items()}


def _check_alike(train: Data, test: Data) -> None:
    """Raises before hours of training where the test set is not what the model will take."""
    facts: dict[str, tuple]
    if isinstance(train, ImageData) and isinstance(test, ImageData):
        facts = {"images": (train.image_shape, test.image_shape)}
        facts["classes"] = (train.class_names, test.class_names)
    elif isinstance(train, VideoData) and isinstance(test, VideoData):
        facts = {"frames": (train.clip_shape[1:], test.clip_shape[1:])}
    else:
        kinds = " and ".join(type(one).__name__ for one in (train, test))
        raise TypeError(f"`train` and `test` must both be images or both be clips, got {kinds}.")
    for what, (wanted, got) in facts.items():
        if wanted != got:
            raise ValueError(f"`test` must have the {what} of `train`, {wanted}, got {got}.")


def _check_attackable(task: Task, train: Data, test: Data) -> None:
    """Raises before hours of training what `privacy_audit` would say after them."""
    if task.name != "classification":
        raise ValueError(f"`privacy` is for classification, whose images have one class, got {task.name}.")
    for name, data in (("train", train), ("test", test)):
        if data.num_examples < FEWEST_IMAGES:
            raise ValueError(
                f"`{name}` must hold at least {FEWEST_IMAGES} images for `privacy`, got {data.num_examples}."
            )


def train_model(
    build: Callable[[L2Policy], keras.Model],
    task: Task,
    train: Data,
    *,
    training: Training,
    l2: float,
    seed: int,
    run_dir: Path,
    watch: bool = False,
    verbose: str | int = "auto",
) -> keras.Model:
    """A model trained from the weights of a seed; what `run_dir` holds of it is not trained again."""
    keras.utils.set_random_seed(seed)
    policy = training.policy(l2)
    model = build(policy)
    training.compile(model, task, policy, num_examples=train.num_examples)
    monitor = _monitor(task, train, training.batch_size, run_dir) if watch else None
    fit(
        model,
        task.prepared(train, augment=training.augment),
        epochs=training.epochs,
        batch_size=training.batch_size,
        callbacks=[monitor] if monitor else [],
        run_dir=run_dir,
        seed=seed,
        mixed_precision=training.mixed_precision,
        verbose=verbose,
    )
    if monitor and not (run_dir / HEATMAP).is_file():
        monitor.plot(run_dir / HEATMAP)
    return model


def _monitor(task: Task, train: Data, batch_size: int, folder: Path) -> L2Monitor:
    """Looks at the first batch of the training set."""
    images, targets = next(iter(task.prepared(train).once(batch_size).as_numpy_iterator()))
    return L2Monitor(images, targets, directory=folder)


def _strength(
    l2: float | Search, build: Callable[[L2Policy], keras.Model], task: Task, directory: Path, steps: int
) -> tuple[float, SearchResult | None, str]:
    """The strength of a training of `steps`; if it was searched, what was found, and that in words."""
    if not isinstance(l2, Search):
        return check_number("l2", l2), None, ""
    found = l2.run(build, task, directory=directory)
    return found.best, found, l2.says(found, steps=steps)


def _write(path: Path, l2: float, training: Training, metrics: Mapping[str, Sequence[float]]) -> None:
    found = {"l2": l2, "training": dataclasses.asdict(training), "metrics": metrics}
    write_json(path, found)
