"""What `tune_l2` gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras

from l2zoo.tuning.candidates import Candidate
from l2zoo.tuning.select import Selection
from l2zoo.tuning.verdict import Verdict


@dataclass(frozen=True)
class SearchResult:
    """The answer of a search, its evidence, and the final model.

    Attributes:
        selection: Every strength with its trainings, and what follows from them.
        chosen: The strength that the final model was trained with.
        model: Trained on all data at `chosen`. Its penalty is a plain Keras L2.
    """

    selection: Selection
    chosen: float
    model: keras.Model = field(repr=False)

    @property
    def best(self) -> float:
        """The strength with the best mean score; of equal ones the largest."""
        return self.selection.best.strength

    @property
    def one_se(self) -> float:
        """The largest strength whose mean is within one standard error of the best."""
        return self.selection.one_se.strength

    @property
    def verdict(self) -> Verdict:
        """Whether L2 helps here: `verdict.outcome` for programs, `str(verdict)` for people."""
        return self.selection.verdict

    @property
    def edge(self) -> str:
        """Where to extend the grid if the best strength is at its edge; else empty."""
        return self.selection.edge

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every strength with mean, standard error and scores, in order of strength."""
        return self.selection.candidates
