"""`compare`: named settings, trained and judged on the same data with the same seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from l2zoo.arguments import whole_number
from l2zoo.comparing.choosing import chosen, honest_scores
from l2zoo.comparing.comparison import Comparison, Standing, judged
from l2zoo.comparing.division import Division
from l2zoo.comparing.making import Maker, identity
from l2zoo.comparing.progress import Progress
from l2zoo.comparing.variants import Build, Variant, check_variants
from l2zoo.data import ImageData, load
from l2zoo.data.checks import check_apart
from l2zoo.experiments import Task, Training
from l2zoo.tasks import Classification
from l2zoo.tuning import checks, strategies
from l2zoo.tuning.engine import Engine, Work
from l2zoo.tuning.job import Job
from l2zoo.tuning.ledger import Ledger, fingerprint
from l2zoo.tuning.record import Record, Unit


def compare(
    build: Build,
    data: ImageData | tuple[np.ndarray, np.ndarray],
    variants: Sequence[Variant],
    *,
    training: Training,
    task: Task | None = None,
    test: ImageData | tuple[np.ndarray, np.ndarray] | None = None,
    baseline: str | None = None,
    folds: int = 5,
    seeds: int | Sequence[int] = 5,
    objective: str | None = None,
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
        data: Training images, which must fit in memory; or images `(N, H, W, C)` with labels `(N,)`.
        variants: What is compared, two at least.
        training: What all have in common, but for what a variant does otherwise. Neither `average` nor
            `mixed_precision`.
        task: What models are trained for; by default a `Classification` of the data's classes.
        test: Images to score on, of which none is in `data`.
        baseline: Name of the variant that the others are compared with; by default the first.
        folds: Of the cross-validation, at least 2.
        seeds: How many, or which; at least 2.
        objective: The score, as in `"val_accuracy"`; by default the task's. A loss cannot be compared between
            variants that have several.
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
        Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
    """
    baseline = check_variants(variants, baseline)
    numbers = _seeds(seeds)
    _check_training(training)
    whole_number("folds", folds, at_least=2)
    data = _read(data)
    task = task or Classification(data.class_names)
    x, y = checks.arrays("data", task.prepared(data))
    tuned = any(variant.tuned for variant in variants)
    if test is None or tuned:
        checks.divisible(y, folds)
    division = Division(y, folds=folds if test is None or tuned else 0)
    if test is not None:
        held_x, held_y = checks.arrays("test", task.prepared(_read(test)))
        check_apart(x, held_x)
        division = dataclasses.replace(division, tested=len(held_x))
        x, y = keras.tree.map_structure(lambda *parts: np.concatenate(parts), (x, y), (held_x, held_y))
    maker = Maker(build, tuple(variants), task, training)
    job = Job(
        maker, x, y, division, epochs=training.epochs, batch_size=training.batch_size,
        optimizer=None, loss=None, metrics=(), objective=objective or task.objective,
        reference={"variant": baseline, "l2": _variant(variants, baseline).candidates[0],
                   "examples": division.examples(0)},
    )  # fmt: skip
    started = time.perf_counter()
    with contextlib.ExitStack() as held:
        folder = held.enter_context(_folder(directory))
        running = held.enter_context(
            contextlib.closing(checks.engine(engine, workers=workers, address=address)(job))
        )
        settings = {
            "comparison": fingerprint(*keras.tree.flatten((job.x, job.y))),
            "folds": division.folds,
            "tested": division.tested,
            "objective": running.objective,
            "backend": keras.backend.backend(),
        }
        _check_losses(running.objective, variants)
        ledger = Ledger(folder / "ledger.jsonl", settings=settings, resume=resume)
        progress = held.enter_context(Progress(folder if directory else None, visible=verbose))
        trainer = _Trainer(running, ledger, progress, maker, division)
        mode = strategies.direction(running.objective)
        standings = _standings(trainer, variants, numbers, mode=mode)
    found = Comparison(
        judged(standings, baseline=baseline, folds=0 if test is not None else folds),
        baseline=baseline,
        metric=running.objective,
        mode=mode,
        seeds=len(numbers),
        folds=0 if test is not None else folds,
        settings={**settings, "seeds": numbers, "training": dataclasses.asdict(training)},
        seconds=time.perf_counter() - started,
    )
    if directory is not None:
        found.save(directory)
    return found


def _standings(
    trainer: _Trainer, variants: Sequence[Variant], seeds: Sequence[int], *, mode: str
) -> list[Standing]:
    """Trains everything there is to train, and gathers the scores."""
    division = trainer.division
    crossed = range(division.folds)
    if not division.tested:
        wanted = {
            v.name: [(v, s, n, f) for s in v.candidates for n in seeds for f in crossed] for v in variants
        }
        records = trainer.run(wanted)
        strengths = {v.name: chosen(records[v.name], mode=mode) for v in variants}
    else:
        tried = {
            v.name: [(v, s, seeds[0], f) for s in v.candidates for f in crossed] for v in variants if v.tuned
        }
        tuned = trainer.run(tried) if tried else {}
        strengths = {
            v.name: chosen(tuned[v.name], mode=mode) if v.tuned else v.candidates[0] for v in variants
        }
        final = {v.name: [(v, strengths[v.name] or 0.0, n, division.test) for n in seeds] for v in variants}
        records = trainer.run(final)
    return [
        Standing(
            v.name,
            honest_scores(records[v.name], mode=mode),
            strength=strengths[v.name] if v.strengths else None,
            failed=sum(record.status == "failed" for record in records[v.name]),
        )
        for v in variants
    ]


class _Trainer:
    """Trains what the ledger lacks."""

    def __init__(self, engine: Engine, ledger: Ledger, progress: Progress, maker: Maker, division: Division):
        self.division = division
        self._engine, self._ledger, self._progress, self._maker = engine, ledger, progress, maker
        self._identities: dict[tuple[str, float, int], str] = {}

    def run(self, wanted: dict[str, list[tuple[Variant, float, int, int]]]) -> dict[str, list[Record]]:
        """The records of each variant, for (variant, strength, seed, fold).

        One that is finished is not trained again, as long as its model and training are what they were.
        """
        units = {name: [self._unit(*one) for one in each] for name, each in wanted.items()}
        missing = [unit for each in units.values() for unit in each if self._ledger.get(unit) is None]
        self._progress.expect(missing, of=sum(map(len, units.values())))
        pending = 0
        for unit in missing:
            self._engine.submit(Work(unit))
            pending += 1
            if pending > self._engine.workers:
                self._take()
                pending -= 1
        for _ in range(pending):
            self._take()
        return {name: [self._record(unit) for unit in each] for name, each in units.items()}

    def _take(self) -> None:
        record = self._engine.wait().record
        self._ledger.append(record)
        self._progress.record(record)

    def _record(self, unit: Unit) -> Record:
        record = self._ledger.get(unit)
        assert record is not None
        return record

    def _unit(self, variant: Variant, strength: float, seed: int, fold: int) -> Unit:
        examples = self.division.examples(fold)
        key = variant.name, strength, examples
        if key not in self._identities:
            model = self._maker({"variant": variant.name, "l2": strength, "examples": examples})
            self._identities[key] = identity(model, variant.training(self._maker.training))
        others = (("examples", examples), ("identity", self._identities[key]), ("variant", variant.name))
        return Unit(strength, fold, seed, others)


def _read(data: Any) -> ImageData:
    return data if isinstance(data, ImageData) else load(data)


def _variant(variants: Sequence[Variant], name: str) -> Variant:
    return next(variant for variant in variants if variant.name == name)


def _seeds(given: int | Sequence[int]) -> list[int]:
    found = checks.seeds(given)
    if len(found) < 2:
        raise ValueError(
            f"`seeds` must be at least 2, got seeds={given}: a single training says nothing of how much "
            "another would differ by chance."
        )
    return found


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


@contextlib.contextmanager
def _folder(directory: str | Path | None) -> Iterator[Path]:
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="l2zoo-") as name:
            yield Path(name)
    else:
        yield Path(directory)
