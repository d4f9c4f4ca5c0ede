"""How the rows of a comparison are divided: into folds and, with a test set, all against that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from l2zoo.engine.job import split


@dataclass(frozen=True, eq=False)
class Division:
    """Gives pairs of training and held-out rows for a seed: the folds, and then the test set if there is one.

    Attributes:
        targets: Of the training rows.
        folds: How many; 0 for none.
        tested: How many test rows follow the training rows.
    """

    targets: Any
    folds: int
    tested: int = 0

    def __call__(self, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        found = split(self.targets, self.folds, seed) if self.folds else []
        whole = np.arange(self.trained + self.tested)
        return [*found, (whole[: self.trained], whole[self.trained :])] if self.tested else found

    @property
    def trained(self) -> int:
        """How many training rows there are."""
        return len(keras.tree.flatten(self.targets)[0])

    @property
    def test(self) -> int:
        """The number of the pair that holds the test set."""
        return self.folds

    def examples(self, fold: int) -> int:
        """How many rows a pair trains on, but for one or two."""
        return self.trained if fold == self.folds else self.trained * (self.folds - 1) // self.folds
