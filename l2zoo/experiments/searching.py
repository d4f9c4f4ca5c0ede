"""`search`: the strength of an experiment, by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from l2zoo.experiments.settings import Data, Task, Training
from l2zoo.policy import L2Policy
from l2zoo.tuning.result import SearchResult
from l2zoo.tuning.search import tune_l2

# Of a search whose trainings are long: a decade apart, as half decades would cost twice as much.
STRENGTHS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


def search(
    build: Callable[[L2Policy], keras.Model],
    task: Task,
    data: Data,
    *,
    training: Training,
    directory: str | Path,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = 3,
) -> SearchResult:
    """Chooses the strength for an experiment by cross-validation, without augmentation.

    Args:
        build: Makes a model, not compiled, with a policy on it.
        task: What it is for.
        data: Training images, best no more than a search can take: as many as fit in memory.
        training: How a fold is trained.
        directory: Where the search is kept; the same call goes on there.
        strengths: The grid, by default 0 and the decades from 1e-6 to 1e-2.
        folds: At least 2.
    """

    def build_at(l2: float) -> keras.Model:
        policy = training.policy(l2)
        examples = data.num_examples * (folds - 1) // folds
        return training.compile(build(policy), task, policy, num_examples=examples)

    return tune_l2(
        build_at,
        task.prepared(data),
        strengths=strengths,
        folds=folds,
        epochs=training.epochs,
        batch_size=training.batch_size,
        objective=task.objective,
        directory=directory,
    )
