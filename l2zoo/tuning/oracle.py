"""keras-tuner decides which strengths to try; a tuner of ours scores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras_tuner

HYPERPARAMETER = "l2"


class StrengthTuner(keras_tuner.Tuner):
    """A keras-tuner `Tuner` whose trial is one strength, scored by a function.

    Args:
        oracle: Any keras-tuner oracle over a hyperparameter `l2`.
        score: Gives the mean score of a strength, or NaN where every training failed.
        **kwargs: Handed on to `keras_tuner.Tuner`.
    """

    def __init__(self, oracle: Any, score: Callable[[float], float], **kwargs: Any):
        self._score = score
        super().__init__(oracle=oracle, **kwargs)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        try:
            value = self._score(trial.hyperparameters.get(HYPERPARAMETER))
        except Exception as error:
            # Any other error keras-tuner takes for a bad trial, notes it, and goes on with the next.
            raise keras_tuner.errors.FatalError(str(error)) from error
        return {self.oracle.objective.name: value}


def search_grid(
    score: Callable[[float], float],
    strengths: Sequence[float],
    *,
    objective: str,
    mode: str,
    directory: Path,
) -> None:
    """Has keras-tuner's `GridSearch` oracle go through the strengths.

    Args:
        score: Gives a strength's mean score, or NaN where every training failed.
        strengths: The grid.
        objective: Name of the score.
        mode: `"max"` or `"min"`.
        directory: Where keras-tuner keeps its state; made anew, because the ledger is what is resumed.
    """
    space = keras_tuner.HyperParameters()
    space.Choice(HYPERPARAMETER, list(strengths))
    oracle = keras_tuner.oracles.GridSearchOracle(
        objective=keras_tuner.Objective(objective, mode), hyperparameters=space, tune_new_entries=False
    )
    tuner = StrengthTuner(oracle, score, directory=str(directory), project_name="keras_tuner", overwrite=True)
    try:
        tuner.search(verbose=0)
    except keras_tuner.errors.FatalError as fatal:
        raise (fatal.__cause__ or fatal) from None


def direction(objective: str) -> str:
    """Whether more of a score is better, `"max"`, or less, `"min"`, as keras-tuner infers it.

    Raises:
        ValueError: It cannot be inferred from the name.
    """
    if objective.endswith("loss"):
        return "min"
    try:
        return keras_tuner.oracles.GridSearchOracle(objective=objective).objective.direction
    except (ValueError, TypeError) as error:  # a metric whose class needs arguments ends in a TypeError
        raise ValueError(
            f"Is more or less of `objective`={objective!r} better? Say so: "
            f"objective=keras_tuner.Objective({objective!r}, 'max'), or 'min'."
        ) from error
