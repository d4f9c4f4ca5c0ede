"""What stands in scripts for keras-tuner and has no place in `L2Tuner`, with what to write instead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras_tuner

from l2zoo.utils.validation import did_you_mean

_ORACLE = "give the oracle itself, strategy=keras_tuner.oracles.{oracle}({name}=..., max_trials=...)"
_WORKERS = "write workers=2 for two trainings at the same time, or address= for a Ray cluster"
_FAILED = "leave it out: a training that fails is recorded with its reason, and the search goes on"
_EPOCHS = "leave it out: an epoch is one pass over the training part of a fold, in batches of `batch_size`"

# Arguments of keras-tuner's tuners.
OF_TUNERS: Mapping[str, str] = {
    "alpha": _ORACLE.format(oracle="BayesianOptimizationOracle", name="alpha"),
    "beta": _ORACLE.format(oracle="BayesianOptimizationOracle", name="beta"),
    "num_initial_points": _ORACLE.format(oracle="BayesianOptimizationOracle", name="num_initial_points"),
    "factor": _ORACLE.format(oracle="HyperbandOracle", name="factor").replace("max_trials", "max_epochs"),
    "hyperband_iterations": _ORACLE.format(oracle="HyperbandOracle", name="hyperband_iterations").replace(
        "max_trials", "max_epochs"
    ),
    "oracle": "write strategy=... for oracle=...",
    "max_retries_per_trial": _FAILED,
    "max_consecutive_failed_trials": _FAILED,
    "max_model_size": "leave it out, and keep the hyperparameters within what fits",
    "distribution_strategy": _WORKERS,
    "tuner_id": _WORKERS,
    "logger": "leave it out: `search(verbose=True)` shows progress, and the ledger keeps every training",
}
# Arguments of `keras.Model.fit`, which keras-tuner's `search` hands on.
OF_FIT: Mapping[str, str] = {
    "shuffle": "leave it out: the rows are in a new order in every epoch, the same for every strength",
    "steps_per_epoch": _EPOCHS,
    "validation_steps": _EPOCHS,
    "validation_batch_size": "leave it out: it changes no score",
    "validation_freq": "leave it out: every training is scored after every epoch",
    "initial_epoch": "leave it out: every training starts from its first epoch",
}
# What a subclass of keras-tuner's tuners overrides to have something done in a trial.
_HOOKS = (
    *("run_trial", "on_search_begin", "on_search_end", "on_trial_begin", "on_trial_end"),
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end", "save_model", "pre_create_trial"),
)


def refuse_arguments(where: str, given: Mapping[str, Any], instead: Mapping[str, str], known: Any) -> None:
    """Raises a `TypeError` if any argument is given, with what to write instead.

    Args:
        where: Of which function.
        given: Arguments by name that the function does not have.
        instead: What to write in their place.
        known: The names that the function has.
    """
    for name in given:
        if name in instead:
            raise TypeError(f"{where} has no `{name}`: {instead[name]}.")
        raise TypeError(f"{where} has no argument `{name}`.{did_you_mean(name, known)}")


def refuse_hooks(tuner: type[keras_tuner.Tuner], base: type[keras_tuner.Tuner]) -> None:
    """Raises a `TypeError` if a tuner overrides what is called within a trial: here nothing calls it."""
    for hook in _HOOKS:
        if getattr(tuner, hook) is not getattr(base, hook):
            raise TypeError(
                f"{tuner.__name__} overrides `{hook}`, which is never called: a trial is many trainings "
                "here, and whole epochs run inside the graph. Give what it does to the hypermodel's `build`, "
                "or to callbacks of `search`; `result` has every training's curves."
            )


def refuse_chief_and_workers() -> None:
    """Raises a `RuntimeError` where the environment makes this process one of keras-tuner's workers."""
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise RuntimeError(
            "KERASTUNER_ORACLE_IP is set, but here one process asks, and workers on Ray train: unset "
            "KERASTUNER_*, run the script once, and write workers=2, or address= for a cluster."
        )


def single_objective(objective: Any) -> keras_tuner.Objective | str | None:
    """An objective of keras-tuner, if it is one.

    Raises:
        TypeError: It is several, or something else.
    """
    if objective is None or isinstance(objective, str):
        return objective
    if isinstance(objective, (list, tuple)) or type(objective) is not keras_tuner.Objective:
        raise TypeError(
            "`objective` must be one score, as in 'val_accuracy' or keras_tuner.Objective('val_auc', 'max'), "
            f"got {objective!r}. For several, give the model a metric that joins them."
        )
    return objective


def objective_of(oracle: keras_tuner.Oracle) -> keras_tuner.Objective | None:
    """The objective that an oracle was made with, if it was."""
    name = getattr(oracle.objective, "name", None)
    return None if name == "default_objective" else single_objective(oracle.objective)


def refuse_beside_an_oracle(settings: Mapping[str, Any]) -> None:
    """Raises a `ValueError` if something is given that an oracle, which is given too, has already."""
    defaults = {"tune_new_entries": True, "allow_new_entries": True}
    for name, value in settings.items():
        if value is not None and value is not defaults.get(name):
            raise ValueError(f"`{name}` belongs to the oracle that is given as `strategy`: give it there.")
