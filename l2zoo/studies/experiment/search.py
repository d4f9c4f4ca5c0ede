"""`Search`: the strength of an experiment, by cross-validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo.data import ImageData
from l2zoo.engine.examples import groups_in
from l2zoo.engine.folds import Division
from l2zoo.regularization.policy import L2Policy
from l2zoo.search.result import SearchResult
from l2zoo.search.tune_l2 import tune_l2
from l2zoo.studies.experiment.settings import Data, Task, Training

# Of a search whose trainings are long: a decade apart, as half decades would cost twice as much.
STRENGTHS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclasses.dataclass(frozen=True)
class Search:
    """How an experiment chooses its strength: by cross-validation, without augmentation.

    Attributes:
        data: Training images, best no more than a search can take: as many as fit in memory.
        training: How a fold is trained.
        strengths: The grid, by default 0 and the decades from 1e-6 to 1e-2.
        folds: At least 2, or a splitter of scikit-learn, or pairs of rows, as in `tune_l2`.
        groups: What each image belongs to `(N,)`: none is on both sides of a fold. By default the `groups` of
            the data.
    """

    data: Data
    training: Training
    strengths: Sequence[float] = STRENGTHS
    folds: Any = 3
    groups: Any = None

    def run(
        self, build: Callable[[L2Policy], keras.Model], task: Task, *, directory: str | Path
    ) -> SearchResult:
        """Searches, or goes on with the search that `directory` holds.

        Args:
            build: Makes a model, not compiled, with a policy on it.
            task: What it is for.
            directory: Where the search is kept.
        """
        training, examples = self.training, self._examples()

        def build_at(l2: float) -> keras.Model:
            policy = training.policy(l2)
            return training.compile(build(policy), task, policy, num_examples=examples)

        return tune_l2(
            build_at,
            task.prepared(self.data),
            strengths=self.strengths,
            folds=self.folds,
            groups=groups_in(self.data, self.groups),
            epochs=training.epochs,
            batch_size=training.batch_size,
            objective=task.objective,
            directory=directory,
        )

    def describe(self) -> dict[str, Any]:
        """What is searched, as JSON values."""
        folds = self.folds if isinstance(self.folds, int) else type(self.folds).__name__
        return {
            "strengths": [float(strength) for strength in self.strengths],
            "training": dataclasses.asdict(self.training),
            "folds": folds,
            "examples": self.data.num_examples,
        }

    def says(self, found: SearchResult, *, steps: int) -> str:
        """How the strength of a training of `steps` was chosen, and what the search says of L2.

        The steps of both are told, since what helps a short training may harm a long one.
        """
        own = self.training.steps(self._examples())
        return (
            "The strength was chosen by cross-validation, with trainings of "
            f"{own:,} steps where this one has {steps:,}: {found.verdict}"
        )

    def _examples(self) -> int:
        """What a training sees when one fold is held out."""
        groups = groups_in(self.data, self.groups)
        if isinstance(self.folds, int) and groups is None:  # but for equal images, which are kept together
            return self.data.num_examples * (self.folds - 1) // self.folds
        arrays = self.data.arrays()
        targets = arrays[1] if isinstance(self.data, ImageData) else arrays
        return Division(targets, self.folds, groups).examples(0)
