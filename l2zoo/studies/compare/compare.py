"""`compare`: named settings, trained and judged on the same data with the same seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData, check_splits, load
from l2zoo.engine.examples import (
    check_order,
    concatenate,
    groups_in,
    images_and_targets,
    take_weights,
    weights_of_rows,
)
from l2zoo.engine.folds import Division, list_seeds
from l2zoo.engine.identity import fingerprint
from l2zoo.engine.job import Job
from l2zoo.engine.ledger import Ledger
from l2zoo.engine.objective import direction
from l2zoo.engine.run import Engine, Run
from l2zoo.engine.workers.local import engine_for
from l2zoo.studies.compare.findings import differences
from l2zoo.studies.compare.progress import ComparisonProgress
from l2zoo.studies.compare.result import Comparison
from l2zoo.studies.compare.trainings import Splits, Trainings, train_variants
from l2zoo.studies.compare.variants import Build, Variant, VariantBuilder, check_variants
from l2zoo.studies.experiment import Task, Training
from l2zoo.tasks import Classification
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.storage.earlier_run import check_kind
from l2zoo.utils.storage.files import kept_or_temporary
from l2zoo.utils.storage.held_folder import hold_folder

PARTS = 50  # of the test images, on which each training is scored apart: how much other images would change


@suggest_arguments
def compare(
    build: Build,
    data: ImageData | tuple[Any, ...],
    variants: Sequence[Variant],
    *,
    training: Training,
    task: Task | None = None,
    test: ImageData | tuple[np.ndarray, np.ndarray] | None = None,
    baseline: str | None = None,
    folds: Any = 5,
    groups: Any = None,
    seeds: int | Sequence[int] = 5,
    objective: str | None = None,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    directory: str | Path | None = None,
    resume: bool = True,
    workers: int = 1,
    address: str | None = None,
    engine: Callable[[Job], Engine] | None = None,
    verbose: bool = True,
) -> Comparison:
    """Trains variants of one training on the same data, and says what differs from the baseline.

    Without `test`, every variant is scored on held-out folds; one that has `strengths` gets, on each fold,
    the score at the strength that the other folds choose. With `test`, it first chooses its strength by
    cross-validation on `data`, with the first seed; then all variants are trained on all of `data` with
    every seed, and scored on `test`. A seed means the same folds, initial weights and batches for all.

    Args:
        build: `build(policy)` makes a model, not compiled, with the policy on it.
        data: Training images, which must fit in memory; or images `(N, H, W, C)` with the targets of the
            task, by default labels `(N,)`, and perhaps weights `(N,)`.
        variants: What is compared, two at least.
        training: What all have in common, but for what a variant does otherwise. Neither `average` nor
            `mixed_precision`.
        task: What models are trained for; by default a `Classification` of the data's classes.
        test: Images to score on, of which none is in `data` (`l2zoo.data.check_splits` looks).
        baseline: Name of the variant that the others are compared with; by default the first.
        folds: Of the cross-validation: at least 2, or a splitter of scikit-learn, or pairs of rows, as in
            `tune_l2`.
        groups: What each image of `data` belongs to `(N,)`, such as a patient: none is on both sides of a
            fold. By default the `groups` of the data. Equal images are kept on one side anyway.
        seeds: How many, or which; at least 2.
        objective: The score, as in `"val_accuracy"`; by default the task's. A loss cannot be compared between
            variants that have several.
        sample_weight: What each image of `data` weighs in the loss of a training `(N,)`.
        class_weight: Likewise by the number of its class. Scores count each image alike.
        directory: Where every finished training is kept at once, and where table, picture and `report.html`
            are written. The same call goes on there; changed and added variants are trained, the others
            not again.
        resume: `False` starts over, and keeps the old trainings under another name.
        workers: How many trainings run at the same time: on Ray if more than 1.
        address: Of a Ray cluster that is running.
        engine: Where the trainings run instead: makes an engine of a `Job`.
        verbose: Whether to show progress, on stderr.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: Fewer than two seeds or variants, names that are not different, a baseline that is not
            among them; images of `test` that are in `data`; a `build` that ignores the policy.

    References:
        Nadeau, Bengio 2003, Inference for the Generalization Error (the intervals over folds);
        Owen 2007, The Pigeonhole Bootstrap (those on a test set: trainings and images are both a sample);
        Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
    """
    baseline = check_variants(variants, baseline)
    numbers = _seeds(seeds)
    _check_training(training)
    data, sample_weight = take_weights(data, sample_weight)
    train = _images(data, task)
    tested = None if test is None else _images(test, task)
    task = task or Classification(train.class_names)
    crossed = folds if test is None or any(variant.tuned for variant in variants) else None
    x, y, splits = _rows(task, train, tested, folds=crossed, groups=groups, seeds=numbers)
    weights = _weights(y, splits, sample_weight=sample_weight, class_weight=class_weight)
    (first,) = (variant for variant in variants if variant.name == baseline)
    job = Job(
        VariantBuilder(build, tuple(variants), task, training), x, y, splits,
        epochs=training.epochs, batch_size=training.batch_size,
        optimizer=None, loss=None, metrics=(), objective=objective or task.objective,
        reference={"variant": baseline, "l2": first.candidates[0], "examples": splits.examples(0)},
        weights=weights, parts=PARTS if splits.tested else 0,
    )  # fmt: skip
    started = time.perf_counter()
    check_kind(directory, "a search or a comparison", argument="directory")
    with contextlib.ExitStack() as held:
        held.enter_context(hold_folder(directory, argument="directory"))
        folder = held.enter_context(kept_or_temporary(directory))
        made = engine_for(engine, workers=workers, address=address)(job)
        running = held.enter_context(contextlib.closing(made))
        _check_losses(running.objective, variants)
        settings = {
            "data": fingerprint(*keras.tree.flatten((x, y))),
            "folds": splits.identity(numbers),
            "tested": splits.tested,
            "parts": job.parts,
            "objective": running.objective,
            "backend": keras.backend.backend(),
        }
        if weights is not None:
            settings["weights"] = fingerprint(*keras.tree.flatten(weights))
        ledger = Ledger(folder / "ledger.jsonl", settings=settings, resume=resume)
        progress = held.enter_context(ComparisonProgress(folder if directory else None, visible=verbose))
        mode = direction(running.objective)
        trainings = Trainings(job, Run(running, ledger, progress), splits, progress)
        standings = train_variants(trainings, variants, numbers, mode=mode)
    comparison = Comparison(
        differences(standings, baseline=baseline, division=splits.division if test is None else None),
        baseline=baseline,
        metric=running.objective,
        mode=mode,
        seeds=len(numbers),
        folds=splits.folds if test is None else 0,
        settings={**settings, "seeds": numbers, "training": dataclasses.asdict(training)},
        seconds=time.perf_counter() - started,
    )
    if directory is not None:
        comparison.save(directory)
    return comparison


def _rows(
    task: Task, data: ImageData, test: ImageData | None, *, folds: Any, groups: Any, seeds: Sequence[int]
) -> tuple[np.ndarray, Any, Splits]:
    """Inputs and targets of all rows, those to test on at the end, and how they are divided."""
    check_order(data, folds)
    x, y = images_and_targets("data", task.prepared(data))
    division = None if folds is None else Division(y, folds, groups_in(data, groups), images=x).check(seeds)
    if test is None:
        return x, y, Splits(len(x), division)
    held_out = images_and_targets("test", task.prepared(test))
    check_splits(data, test, names=("data", "test"))
    return *concatenate((x, y), held_out), Splits(len(x), division, tested=len(held_out[0]))


def _weights(y: Any, splits: Splits, *, sample_weight: Any, class_weight: Any) -> Any:
    """What each row weighs in a training; rows to test on are in none."""
    rows = slice(splits.trained)
    trained = keras.tree.map_structure(lambda part: part[rows], y)
    weights = weights_of_rows(trained, sample_weight=sample_weight, class_weight=class_weight)

    def with_tested(part: np.ndarray) -> np.ndarray:
        return np.concatenate([part, np.ones((splits.tested, *part.shape[1:]), part.dtype)])

    return None if weights is None else keras.tree.map_structure(with_tested, weights)


def _images(data: Any, task: Task | None) -> ImageData:
    if isinstance(data, ImageData):
        return data
    return load(data, task="classification" if task is None else task.name)


def _seeds(given: int | Sequence[int]) -> list[int]:
    seeds = list_seeds(given)
    if len(seeds) < 2:
        raise ValueError(
            f"`seeds` must be at least 2, got seeds={given}: a single training says nothing of how much "
            "another would differ by chance."
        )
    return seeds


def _check_training(training: Training) -> None:
    if training.average or training.mixed_precision:
        raise ValueError(
            "`training` of a comparison must be without average and mixed_precision, which its fast loop "
            f"does not have, got average={training.average}, mixed_precision={training.mixed_precision}."
        )


def _check_losses(objective: str, variants: Sequence[Variant]) -> None:
    if objective == "val_data_loss" and len({variant.loss for variant in variants}) > 1:
        raise ValueError(
            "`objective` must not be a loss where variants have different ones, whose numbers mean different "
            f"things, got objective={objective!r}. Take a metric, such as 'val_accuracy'."
        )
