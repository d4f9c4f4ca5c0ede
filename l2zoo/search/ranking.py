"""The configurations of a search in order, as keras-tuner's trials: what its users ask a tuner for."""

from __future__ import annotations

from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from l2zoo.search.candidates import Candidate
from l2zoo.search.driver import split_plan, strength_and_others
from l2zoo.search.select import Selection
from l2zoo.stats.summary import sign_of


def rank_trials(
    selection: Selection, oracle: keras_tuner.Oracle, *, strength: str, first: Candidate
) -> list[Any]:
    """A trial for every configuration, the best first.

    keras-tuner ranks by the score alone, so that of equal ones the first that was tried leads, and one that
    Hyperband gave up early may. Here those that were trained to the end come first, of equal ones the
    strongest, as in `result`; and strength 0 is among them although no oracle asked for it.

    Args:
        selection: The answer of a search.
        oracle: What asked for the configurations.
        strength: Name of the hyperparameter that is the strength.
        first: What the final model was trained with.
    """
    asked = {}
    for trial in oracle.trials.values():  # of several rungs the last counts
        asked[strength_and_others(split_plan(trial.hyperparameters.values)[0], strength)] = trial
    whole = [c for c in (*selection.candidates, *selection.rest) if c is not first]
    whole.sort(key=lambda c: _rank(c, mode=selection.mode))
    stopped = sorted(selection.stopped, key=lambda c: (-c.epochs, *_rank(c, mode=selection.mode)))
    return [
        asked.get((c.strength, c.others)) or _trial(c, oracle, strength) for c in (first, *whole, *stopped)
    ]


def _rank(candidate: Candidate, *, mode: str) -> tuple:
    mean = -sign_of(mode) * candidate.mean if candidate.n else 0.0
    return len(candidate.failed), -candidate.n, mean, -candidate.strength


def _trial(candidate: Candidate, oracle: keras_tuner.Oracle, strength: str) -> Any:
    """A trial as the oracle would have it."""
    hp = oracle.get_space()
    hp.values = {strength: candidate.strength, **dict(candidate.others)}
    trial = Trial(hp, trial_id=f"{strength}={candidate.strength:g}", status="COMPLETED")
    trial.score = candidate.mean
    return trial
