"""Which strengths to try: keras-tuner's oracles, one for each strategy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import keras_tuner

# Beyond a grid: so many configurations. Hyperband gives most of them up early.
MAX_TRIALS = {"random": 20, "bayesian": 20, "hyperband": 9}
STRATEGIES = ("grid", *MAX_TRIALS)
FACTOR = 3  # Hyperband keeps one in so many, and trains it so many times as long
RUNGS = 3  # and gives up that often less one: at a ninth and at a third of the epochs


def oracle(
    strategy: str,
    *,
    objective: keras_tuner.Objective,
    epochs: int,
    hyperparameters: keras_tuner.HyperParameters | None = None,
    max_trials: int | None = None,
    seed: int = 1,
    **entries: bool,
) -> keras_tuner.Oracle:
    """keras-tuner's oracle for a strategy.

    Args:
        strategy: `"grid"`, `"random"`, `"bayesian"` (a Gaussian process over the logarithm of the strength)
            or `"hyperband"` (successive halving).
        objective: The score and its direction.
        epochs: Those of a whole training; Hyperband stops most trainings earlier.
        hyperparameters: The space, as far as it is known.
        max_trials: How many configurations; by default all of a grid, 20, and 9 for Hyperband.
        seed: Not 0, which keras-tuner takes for none; with the same scores it gives the same configurations.
        **entries: `tune_new_entries` and `allow_new_entries`, whether what a hypermodel asks for beside
            `hyperparameters` is searched too, and whether it may ask for more at all.
    """
    count = max_trials or MAX_TRIALS.get(strategy)
    shared: dict[str, Any] = {
        "objective": objective,
        "hyperparameters": hyperparameters,
        "max_consecutive_failed_trials": 10**9,  # a failed strength is an answer and no reason to stop
        "seed": seed,
        **entries,
    }
    if strategy == "grid":
        return Grid(max_trials=count, **shared)
    if strategy == "random":
        return keras_tuner.oracles.RandomSearchOracle(max_trials=count, **shared)
    if strategy == "bayesian":
        return keras_tuner.oracles.BayesianOptimizationOracle(max_trials=count, **shared)
    return Halving(configurations=count or MAX_TRIALS["hyperband"], max_epochs=epochs, **shared)


def ask(used: keras_tuner.Oracle, name: str, *, declare: Callable[[keras_tuner.HyperParameters], Any]) -> Any:
    """The next configuration of an oracle, as a keras-tuner trial, with all that its model asks for.

    A hypermodel may ask for a hyperparameter in an `if` or a loop, so that the oracle learns of it only when
    a model with these values is built. The trial that brings it up has its default value; those after it are
    asked for more. keras-tuner finds that out by training the trial; here it must be known before, because
    many trials are asked for at a time. A hypermodel that raises `keras_tuner.errors.FailedTrialError` will
    not have these values: the next ones are asked for.

    Args:
        used: The oracle.
        name: A name that no ongoing trial has.
        declare: Asks for the hyperparameters, as the `build(hp)` of a hypermodel does.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # The Gaussian process has a matrix of some dozen rows: more threads make it slower, by three times on two
    # cores. With few scores its length scale is at a bound, which nobody who waits for a search can change.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        trial = used.create_trial(name)
    if trial.status != "RUNNING" or not used.allow_new_entries:
        return trial
    try:
        declare(trial.hyperparameters)
    except keras_tuner.errors.FailedTrialError as error:
        trial.status, trial.message = "FAILED", str(error)
        used.end_trial(trial)
        return ask(used, name, declare=declare)
    used.update_space(trial.hyperparameters)
    used._record_values(trial)  # keras-tuner's own: what is known as tried; else it does so at the end
    return trial


def batch(used: keras_tuner.Oracle) -> int | None:
    """How many configurations may be asked for before their scores are told; None for no limit.

    The grid and random search do not look at scores, and Hyperband says itself when it waits for them. The
    Gaussian process learns from every one, so it is asked for one at a time, whatever the number of workers.
    """
    others = (
        keras_tuner.oracles.GridSearchOracle,
        keras_tuner.oracles.RandomSearchOracle,
        keras_tuner.oracles.HyperbandOracle,
    )
    return None if isinstance(used, others) else 1


def is_adaptive(used: keras_tuner.Oracle) -> bool:
    """Whether scores decide what is tried next, or trained to the end."""
    return batch(used) is not None or isinstance(used, keras_tuner.oracles.HyperbandOracle)


class Grid(keras_tuner.oracles.GridSearchOracle):
    """keras-tuner's grid search, which names all of the grid without waiting for scores.

    keras-tuner's own names the next configuration only when one has ended, so that several workers would
    share one configuration. It waits for hyperparameters that a trial may bring up; `ask` has found them.
    """

    # `_populate_next` is keras-tuner's own: the queue of those whose next configuration is wanted. Here it
    # holds the latest alone, since every other has its next one already.

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        found = super().populate_space(trial_id)
        if found["status"] == "RUNNING":
            self._populate_next = [trial_id]
        return found

    def end_trial(self, trial: Any) -> None:
        waiting = list(self._populate_next)
        super().end_trial(trial)
        self._populate_next = waiting


class Halving(keras_tuner.oracles.HyperbandOracle):
    """The first bracket of Hyperband: all configurations start, the better third goes on, and so again.

    keras-tuner's own sizes follow from the epochs alone, and come to `max_epochs * log(max_epochs) ** 2`
    epochs over all brackets: more than a grid of a dozen strengths. One bracket is what saves time.

    Args:
        configurations: How many start.
        max_epochs: Epochs of those that are trained to the end.
        **kwargs: Handed on to keras-tuner's oracle.

    References:
        Jamieson, Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization;
        Li et al. 2018, Hyperband.
    """

    # What begins with an underscore is keras-tuner's own; it has no public way to say how large a bracket is.

    def __init__(self, configurations: int, max_epochs: int, **kwargs: Any):
        self._configurations = configurations
        super().__init__(max_epochs=max_epochs, factor=FACTOR, **kwargs)
        last = self._get_num_brackets() - 1
        self._current_bracket = 0  # it is the last bracket too: nothing starts while it waits for scores
        self.max_trials = sum(self._get_size(last, number) for number in range(last + 1))

    def _get_num_brackets(self) -> int:
        return max(1, min(RUNGS, 1 + int(math.log(self.max_epochs, FACTOR))))

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        return math.ceil(self._configurations / FACTOR**round_num)
