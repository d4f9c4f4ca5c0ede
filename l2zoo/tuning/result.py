"""What `tune_l2` gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from l2zoo.tuning import curve, report
from l2zoo.tuning.candidates import Candidate
from l2zoo.tuning.record import Value
from l2zoo.tuning.select import Selection
from l2zoo.tuning.verdict import Verdict

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class SearchResult:
    """The answer of a search, its evidence, and the final model.

    Attributes:
        selection: Every strength with its trainings, and what follows from them.
        values: The hyperparameters that the final model was trained with, by name.
        model: Trained on all data. Its penalty is a plain Keras L2.
        strength: Name of the hyperparameter that is the strength.
        epochs: How many epochs all trainings of the search took together.
        seconds: How long the search took, the final training included.
        settings: What the scores depend on, as JSON values.
    """

    selection: Selection
    values: dict[str, Value]
    model: keras.Model = field(repr=False)
    strength: str = "l2"
    epochs: int = 0
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def chosen(self) -> float:
        """The strength that the final model was trained with."""
        return float(self.values[self.strength])

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

    def table(self) -> Table:
        """A Rich table: a row a strength, with mean, standard error and the difference to strength 0."""
        return report.table(self.selection)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        spent = {"epochs": self.epochs, "seconds": self.seconds}
        return {**report.to_dict(self.selection), "chosen": self.chosen, "values": self.values, **spent}

    def plot(self, path: str | Path) -> Path:
        """Draws the score against the strength, as glmnet's users know it; PNG, SVG or PDF by suffix."""
        return curve.plot(self.selection, path=path)

    def save(self, directory: str | Path) -> None:
        """Writes `result.csv` and `result.json` into a directory."""
        report.write_csv(self.selection, path=Path(directory) / "result.csv")
        report.write_json(self.selection, path=Path(directory) / "result.json")
