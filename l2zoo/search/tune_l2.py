"""`tune_l2`: which lambda is best for a model on given data, and does L2 help there at all?"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from l2zoo.data import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.engine.examples import check_order, groups_in, images_and_targets, take_weights, weights_of_rows
from l2zoo.engine.folds import Division, list_seeds
from l2zoo.engine.job import Job, compile_model
from l2zoo.engine.run import Engine
from l2zoo.search.result import SearchResult
from l2zoo.search.tuner import L2Tuner
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.storage.files import kept_or_temporary
from l2zoo.utils.validation import check_number, whole_number

# 0 and half decades: a decade is too coarse to see the top of the curve, a quarter costs twice as much.
DEFAULT_STRENGTHS = (0.0, *(float(f"{10 ** (exponent / 2):.3g}") for exponent in range(-12, -1)))


@suggest_arguments
def tune_l2(
    build: Callable[..., keras.Model],
    data: ImageData | Prepared | tuple[Any, ...],
    *,
    strengths: Sequence[float] | None = None,
    strategy: str = "grid",
    max_trials: int | None = None,
    space: Callable[[keras_tuner.HyperParameters], Any] | None = None,
    folds: Any = 5,
    groups: Any = None,
    seeds: int | Sequence[int] = 1,
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: Any = "adam",
    loss: Any = "sparse_categorical_crossentropy",
    metrics: Sequence[Any] = ("accuracy",),
    objective: str | keras_tuner.Objective | None = None,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    weighted_scores: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    choose: str = "best",
    until: float | None = None,
    max_seeds: int = 20,
    directory: str | Path | None = None,
    resume: bool = True,
    workers: int = 1,
    address: str | None = None,
    engine: Callable[[Job], Engine] | None = None,
    verbose: bool = True,
) -> SearchResult:
    """Chooses the strength of L2 by cross-validation, and says whether L2 helps.

    Every strength is trained on the same folds, from the same initial weights, with the same batches. One
    model is traced; a trial resets it and assigns its strength. 0 is always a candidate.

    Args:
        build: `build(l2)` returns a model, compiled or not, that carries the penalty `l2`, a float: hand it
            to a builder (`build_cnn(..., l2=l2)`) or to `L2Policy.of(l2).apply(model)`. With `space` it is
            `build(l2, hp)`.
        data: What to train on: `l2zoo.data.load(...)`; or images `(N, H, W, C)` with pixels in [0, 255] and
            what the loss takes, N labels, one-hot or multi-label rows, numbers to be predicted, or, for
            several outputs, a dict or list of them; `(x, y)` or `(x, y, sample_weight)`; or what a task makes
            of masks or boxes, `task.prepared(data)`, for a `build` that compiles with `task.compiling()`. A
            test set does not belong here.
        strengths: The grid, in the convention of the policy that `build` makes; by default 0 and eleven
            half decades from 1e-6 to 0.1. The other strategies try any strength from the smallest above 0
            to the largest.
        strategy: `"grid"`, `"random"`, `"bayesian"` (a Gaussian process over the logarithm of the strength)
            or `"hyperband"` (most are given up early, the survivors go on from their weights).
        max_trials: How many configurations; by default all of a grid, 20, and 9 for Hyperband.
        space: `space(hp)` declares other hyperparameters to search at the same time, as in
            `hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")`. A model is traced again only for those
            that change more than the learning rate, its schedule, dropout rates and penalties.
        folds: How many, at least 2, stratified by class where an image has one; or a splitter of
            scikit-learn, such as `GroupKFold(5)` or `TimeSeriesSplit(4)`, to whose `random_state` the seed is
            added; or pairs of training and held-out rows.
        groups: What each image belongs to `(N,)`, such as a patient: none is on both sides of a fold. By
            default the `groups` of the data. Equal images are kept on one side anyway, with a warning.
        seeds: How often all is repeated with other folds and other initial weights; or the seeds.
        epochs: Passes over the training part of a fold.
        batch_size: Images in a step.
        optimizer: For a model that `build` leaves uncompiled: a name, an optimizer to copy, or a callable
            that makes one.
        loss: Likewise.
        metrics: Likewise.
        objective: The score: `"val_accuracy"` or another metric on the held-out fold after the last epoch, or
            `"val_data_loss"`, the loss there without the penalty. By default accuracy if it is measured.
            Whether more or less of it is better is inferred, or said by a `keras_tuner.Objective`. A metric
            without a name of its own is called by its class, as in `"val_auc"`.
        sample_weight: What each image weighs in the loss of a training `(N,)`.
        class_weight: Likewise by the number of its class; not together with `sample_weight`.
        weighted_scores: Whether held-out images weigh as much in the loss and in `weighted_metrics`, as in
            Keras's `evaluate`; other metrics count each image alike.
        callbacks: Keras callbacks that act between epochs, such as `EarlyStopping`; each training gets its
            own copies. The final model is trained for the median of the epochs that its folds used.
        choose: Which strength the final model gets, `"best"` or `"one_se"`.
        until: An effect to tell, in the units of the score, such as 0.01: if the verdict cannot, the best
            strength above 0 and 0 are trained on fresh divisions of the data, with two more looks at it,
            until it can, until no number of folds could, or until `max_seeds` are used up. All three looks
            together are wrong in 1 of 20 at most.
        max_seeds: How many seeds there may be in all, those of `until` included.
        directory: Where everything is kept: the ledger of finished trainings, `result.csv`, `result.json`.
            The same call with the same directory goes on where it was stopped. `None` keeps nothing.
        resume: `False` starts over, and keeps the old ledger under another name.
        workers: How many trainings run at the same time: on Ray if more than 1, which needs
            `pip install "l2zoo[ray]"`. The scores do not depend on it, but for rounding.
        address: Of a Ray cluster that is running; without it, several workers run on this machine.
        engine: Where the trainings run instead: makes an engine of a `Job`.
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
    grid = _grid(DEFAULT_STRENGTHS if strengths is None else strengths)
    for argument, value in (("epochs", epochs), ("batch_size", batch_size)):
        whole_number(argument, value, at_least=1)
    pair, weights = take_weights(data, sample_weight)
    x, y = images_and_targets("data", pair)
    groups = groups_in(pair, groups)
    check_order(pair, folds)
    with warnings.catch_warnings():  # of equal images, which the search itself tells of
        warnings.simplefilter("ignore", UserWarning)
        Division(y, folds, groups, images=x).check(list_seeds(seeds))
    weights_of_rows(y, sample_weight=weights, class_weight=class_weight)
    with kept_or_temporary(directory) as folder:
        compiling = {"optimizer": optimizer, "loss": loss, "metrics": metrics}
        tuner = L2Tuner(
            _hypermodel(build, space, compiling),
            objective,
            strategy=strategy,
            folds=folds,
            seeds=seeds,
            max_trials=max_trials,
            max_epochs=epochs,
            choose=choose,
            until=until,
            max_seeds=max_seeds,
            workers=workers,
            address=address,
            engine=engine,
            hyperparameters=_strengths(grid, continuous=strategy != "grid"),
            allow_new_entries=space is not None,
            directory=folder.parent,
            project_name=folder.name,
            overwrite=not resume,
        )
        result = tuner.search(
            data,
            batch_size=batch_size,
            groups=groups,
            sample_weight=sample_weight,
            class_weight=class_weight,
            weighted_scores=weighted_scores,
            callbacks=callbacks,
            verbose=verbose,
        )
        if directory is None:
            return dataclasses.replace(result, folder=None)
        result.save(folder)
    return result


def _hypermodel(
    build: Callable[..., keras.Model], space: Callable | None, compiling: dict[str, Any]
) -> Callable[[keras_tuner.HyperParameters], keras.Model]:
    """`build(l2)`, or `build(l2, hp)` if there is a space, as keras-tuner's `build(hp)`.

    Args:
        build: Of the user.
        space: Declares other hyperparameters.
        compiling: What a model is compiled with that `build` leaves uncompiled.
    """

    def build_from(hp: keras_tuner.HyperParameters) -> keras.Model:
        if space is not None:
            space(hp)
        model = build(hp.get("l2")) if space is None else build(hp.get("l2"), hp)
        if isinstance(model, keras.Model) and not model.compiled:
            compile_model(model, **compiling)
        return model

    return build_from


def _strengths(grid: Sequence[float], *, continuous: bool) -> keras_tuner.HyperParameters:
    """The strength as a hyperparameter.

    Args:
        grid: The strengths, from 0.
        continuous: Whether every strength between the smallest above 0 and the largest can be asked for.
    """
    hp = keras_tuner.HyperParameters()
    if continuous:
        hp.Float("l2", grid[1], grid[-1], sampling="log")
    else:
        hp.Choice("l2", list(grid))
    return hp


def _grid(strengths: Sequence[float]) -> list[float]:
    """Strengths in order, each once, and 0 among them."""
    values = {check_number("strengths", value) for value in strengths}
    if not values - {0.0}:
        raise ValueError(f"`strengths` must hold at least one number above 0, got {list(strengths)}.")
    return sorted(values | {0.0})
