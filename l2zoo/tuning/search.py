"""`tune_l2`: which lambda is best for a model on given data, and does L2 help there at all?"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from l2zoo.data import ImageData, check_folds, check_images
from l2zoo.strength import check_number
from l2zoo.tuning import select
from l2zoo.tuning.candidates import Candidate, best, gather
from l2zoo.tuning.engine import Engine, InProcess
from l2zoo.tuning.ledger import Ledger, fingerprint
from l2zoo.tuning.progress import Progress
from l2zoo.tuning.record import Record, Unit
from l2zoo.tuning.result import SearchResult
from l2zoo.tuning.trial import Job

if TYPE_CHECKING:
    import keras_tuner

# 0 and half decades: a decade is too coarse to see the top of the curve, a quarter costs twice as much.
DEFAULT_STRENGTHS = (0.0, *(float(f"{10 ** (exponent / 2):.3g}") for exponent in range(-12, -1)))


def tune_l2(
    build: Callable[[Any], keras.Model],
    data: ImageData | tuple[np.ndarray, np.ndarray],
    *,
    strengths: Sequence[float] | None = None,
    folds: int = 5,
    seeds: int | Sequence[int] = 1,
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: Any = "adam",
    loss: Any = "sparse_categorical_crossentropy",
    metrics: Sequence[Any] = ("accuracy",),
    objective: str | keras_tuner.Objective | None = None,
    choose: str = "best",
    directory: str | Path | None = None,
    resume: bool = True,
    engine: Callable[[Job], Engine] = InProcess,
    verbose: bool = True,
) -> SearchResult:
    """Chooses the strength of L2 by stratified cross-validation, and says whether L2 helps.

    Every strength is trained on the same folds, from the same initial weights, with the same batches. One
    model is built and traced; a trial resets it and assigns its strength. 0 is always a candidate.

    Args:
        build: `build(l2)` returns a model, compiled or not, that carries the penalty `l2`: hand it to a
            builder (`build_cnn(..., l2=l2)`) or to `L2Policy.of(l2).apply(model)`. The strength it gets can
            change while the model trains.
        data: What to train on: `l2zoo.data.load(...)`, or images `(N, H, W, C)` with pixels in [0, 255] and
            integer labels `(N,)`. A test set does not belong here.
        strengths: The grid, in the convention of the policy that `build` makes; by default 0 and eleven
            half decades from 1e-6 to 0.1.
        folds: At least 2.
        seeds: How often all is repeated with other folds and other initial weights; or the seeds.
        epochs: Passes over the training part of a fold.
        batch_size: Images in a step.
        optimizer: For a model that `build` leaves uncompiled: a name, an optimizer to copy, or a callable
            that makes one.
        loss: Likewise.
        metrics: Likewise.
        objective: The score: `"val_accuracy"` or another metric on the held-out fold after the last epoch, or
            `"val_data_loss"`, the loss there without the penalty. By default accuracy if it is measured.
            Whether more or less of it is better is inferred, or said by a `keras_tuner.Objective`.
        choose: Which strength the final model gets, `"best"` or `"one_se"`.
        directory: Where everything is kept: the ledger of finished trainings, `result.csv`, `result.json`.
            The same call with the same directory goes on where it was stopped. `None` keeps nothing.
        resume: `False` starts over, and keeps the old ledger under another name.
        engine: Where the trainings run: makes an engine of a `Job`.
        verbose: Whether to show progress, on stderr.

    Returns:
        Candidates with mean and standard error over folds x seeds, `best`, `one_se`, `verdict`, and `model`,
        trained on all of `data` at the chosen strength.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: Bad data or arguments; a `build` that ignores `l2`; an objective that is not measured or
            contains the penalty; a directory of another search; every training failed.

    References:
        Friedman, Hastie and Tibshirani 2010, Regularization Paths for Generalized Linear Models via
        Coordinate Descent (the grid, `best` and `one_se` of glmnet's `cv.glmnet`).
    """
    from l2zoo.tuning.oracle import direction

    grid = _grid(strengths)
    seeds = _seeds(seeds)
    for argument, value, least in (("folds", folds, 2), ("epochs", epochs, 1), ("batch_size", batch_size, 1)):
        _check_whole(argument, value, least)
    if choose not in ("best", "one_se"):
        raise ValueError(f'`choose` must be "best" or "one_se", got choose={choose!r}.')
    x, y = _arrays(data)
    check_folds(y, folds)
    name = objective if isinstance(objective, str) else getattr(objective, "name", None)
    runner = engine(Job(build, x, y, folds, epochs, batch_size, optimizer, loss, tuple(metrics), name))
    mode = getattr(objective, "direction", None) or direction(runner.objective)
    units = {s: [Unit(s, fold, seed) for seed in seeds for fold in range(folds)] for s in grid}
    with _folder(directory) as folder:
        settings = {**runner.identity(), "data": fingerprint(x, y)}
        ledger = Ledger(folder / "ledger.jsonl", settings=settings, resume=resume)
        stopped = f"What is finished is kept in {folder}: the same call goes on from there."
        if directory is None:
            stopped = "Nothing is kept: give a `directory` to go on later."
        progress = functools.partial(Progress, metric=runner.objective, stopped=stopped, visible=verbose)
        _run(runner, ledger, units, mode=mode, folder=folder, progress=progress)
        records = [r for group in units.values() for r in _records(ledger, group)]
        selection = select.choose(records, mode=mode, metric=runner.objective)
        strength = getattr(selection, choose).strength
        result = SearchResult(selection, strength, runner.train_on_all(strength, seeds[0]))
        if directory is not None:
            result.save(folder)
    return result


def _run(
    runner: Engine,
    ledger: Ledger,
    units: dict[float, list[Unit]],
    *,
    mode: str,
    folder: Path,
    progress: Callable[..., Progress],
) -> None:
    """Scores every strength that keras-tuner's oracle asks for, out of the ledger where it can."""
    from l2zoo.tuning.oracle import search_grid

    everything = [unit for group in units.values() for unit in group]
    kept = sum(ledger.get(unit) is not None for unit in everything)
    finished: list[Candidate] = []
    with progress(total=len(everything), kept=kept) as shown:

        def score(strength: float) -> float:
            missing = [unit for unit in units[strength] if ledger.get(unit) is None]
            for record in runner.run(missing):
                ledger.append(record)
                shown.advance()
            (candidate,) = gather(_records(ledger, units[strength]))
            finished.append(candidate)
            scored = [c for c in finished if c.n]
            better = bool(scored) and best(scored, mode=mode) is candidate
            shown.finish(candidate, number=len(finished), of=len(units), better=better)
            return candidate.mean

        search_grid(score, list(units), objective=runner.objective, mode=mode, directory=folder)


def _records(ledger: Ledger, units: list[Unit]) -> list[Record]:
    return [record for unit in units if (record := ledger.get(unit)) is not None]


@contextlib.contextmanager
def _folder(directory: str | Path | None) -> Iterator[Path]:
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="l2zoo-") as name:
            yield Path(name)
    else:
        yield Path(directory)


def _arrays(data: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(data, ImageData):
        return data.arrays()
    if not (isinstance(data, tuple) and len(data) == 2):
        raise TypeError(
            f"`data` must be an ImageData from l2zoo.data.load, or a tuple (x, y), got {type(data).__name__}."
        )
    x, y = (np.asarray(part) for part in data)
    check_images(x, y)
    return x, y


def _grid(strengths: Sequence[float] | None) -> list[float]:
    if strengths is None:
        return list(DEFAULT_STRENGTHS)
    values = {check_number("strengths", value) for value in strengths}
    if not values - {0.0}:
        raise ValueError(f"`strengths` must hold at least one number above 0, got {list(strengths)}.")
    return sorted(values | {0.0})


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, int):
        _check_whole("seeds", seeds, 1)
        return list(range(seeds))
    for seed in seeds:
        _check_whole("seeds", seed, 0)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be a number of seeds, or different seeds, got {list(seeds)}.")
    return list(seeds)


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be a whole number, got {name}={value!r}.")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}, got {name}={value}.")
