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
        score: Gives the mean score of a strength, or raises `keras_tuner.errors.FailedTrialError`.
        **kwargs: Handed on to `keras_tuner.Tuner`.
    """

    def __init__(self, oracle: Any, score: Callable[[float], float], **kwargs: Any):
        self._score = score
        super().__init__(oracle=oracle, **kwargs)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        return {self.oracle.objective.name: self._score(trial.hyperparameters.get(HYPERPARAMETER))}


def search_grid(
    score: Callable[[float], float | None],
    strengths: Sequence[float],
    *,
    objective: str,
    mode: str,
    directory: Path,
) -> None:
    """Has keras-tuner's `GridSearch` oracle go through the strengths.

    Args:
        score: Gives a strength's mean score, or `None` where every training failed.
        strengths: The grid.
        objective: Name of the score.
        mode: `"max"` or `"min"`.
        directory: Where keras-tuner keeps its state; made anew, because the ledger is what is resumed.
    """

    def scored(strength: float) -> float:
        value = score(strength)
        if value is None:
            raise keras_tuner.errors.FailedTrialError(f"Every training at strength {strength:g} failed.")
        return value

    space = keras_tuner.HyperParameters()
    space.Choice(HYPERPARAMETER, list(strengths))
    oracle = keras_tuner.oracles.GridSearchOracle(
        objective=keras_tuner.Objective(objective, mode),
        hyperparameters=space,
        tune_new_entries=False,
        max_consecutive_failed_trials=len(strengths) + 1,  # a strength that fails does not end the search
    )
    tuner = StrengthTuner(
        oracle, scored, directory=str(directory), project_name="keras_tuner", overwrite=True
    )
    tuner.search(verbose=0)
