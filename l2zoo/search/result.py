"""What `tune_l2` gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from l2zoo.engine.record import Record, Value
from l2zoo.regularization.audit import audit
from l2zoo.reports.numbers import (
    decimals,
    format_duration,
    format_mean,
    format_strength,
    format_value,
    metric_name,
)
from l2zoo.reports.page import versions
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Table
from l2zoo.search import page, report, tensorboard
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots import curve, learning_curves, scatter
from l2zoo.search.select import Selection
from l2zoo.search.verdict import Verdict
from l2zoo.utils.scripts import script_command
from l2zoo.utils.validation import one_of

REPORT = "report.html"


def command_line() -> str:
    """What repeats this search."""
    return script_command() or "the same call of tune_l2, or of L2Tuner.search, with the settings above"


@dataclass(frozen=True, repr=False)
class SearchResult(Printed):
    """The answer of a search, its evidence, and the final model. Prints as the answer.

    Attributes:
        selection: Every strength with its trainings, and what follows from them.
        values: The hyperparameters that the final model was trained with, by name.
        model: Trained on all data. Its penalty is a plain Keras L2.
        strength: Name of the hyperparameter that is the strength.
        epochs: How many epochs all trainings of the search took together.
        seconds: How long the search took, the final training included.
        settings: What the scores depend on, as JSON values.
        records: What came out of every training, those that were given up early included.
        command: What repeats the search.
        folder: Where its files are kept; None where they are not.
    """

    selection: Selection
    values: dict[str, Value]
    model: keras.Model
    strength: str = "l2"
    epochs: int = 0
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    command: str = field(default_factory=command_line)
    folder: Path | None = None

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

    def needed(self, effect: float, *, power: float = 0.8) -> float:
        """How many more paired trainings it takes to tell a gain of a size from chance: `Verdict.needed`."""
        return self.verdict.needed(effect, power=power)

    @property
    def edge(self) -> str:
        """Where to extend the grid if the best strength is at its edge; else empty."""
        return self.selection.edge

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every strength with mean, standard error and scores, in order of strength."""
        return self.selection.candidates

    def _lines(self) -> list[str]:
        best, metric = self.selection.best, metric_name(self.selection.metric)
        score = format_mean(best.mean, best.standard_error, digits=decimals([best.mean], usual=4))
        others = "".join(f", {n} {format_value(v)}" for n, v in self.values.items() if n != self.strength)
        tried = f"{len(self.records)} trainings, {format_duration(self.seconds)}"
        lines = [
            str(self.verdict),
            f"Best {format_strength(self.best)}: {metric} {score}. One standard error "
            f"{format_strength(self.one_se)}. The model has {format_strength(self.chosen)}{others}. {tried}.",
            self.edge,
            "" if self.folder is None else f"Kept in {self.folder}.",
        ]
        return [line for line in lines if line]

    def _tables(self) -> list[Table]:
        return [self.table()]

    def _page(self) -> Path | None:
        page = None if self.folder is None else self.folder / REPORT
        return page if page is not None and page.exists() else None

    def table(self) -> Table:
        """A row a strength: mean, standard error and the difference to strength 0. Prints with Rich."""
        return report.table(self.selection, chosen=self.chosen)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        spent = {"epochs": self.epochs, "seconds": self.seconds}
        return {**report.to_dict(self.selection), "chosen": self.chosen, "values": self.values, **spent}

    def plot(self, path: str | Path, *, kind: str = "strength") -> Path:
        """Draws a picture; PNG, SVG or PDF by suffix.

        Args:
            path: Where to.
            kind: `"strength"`, the score against the strength as glmnet's users know it; `"plane"`, over the
                strength and another hyperparameter; `"learning"`, the score against the epoch.

        Raises:
            ValueError: The kind is another, the suffix is, or no other hyperparameter has two values.
        """
        one_of("kind", kind, ("strength", "plane", "learning"))
        if kind == "plane":
            return scatter.plot(self.selection).save(path)
        if kind == "learning":
            return learning_curves.plot(self.selection, chosen=self.chosen).save(path)
        return curve.plot(self.selection).save(path)

    def report(self, path: str | Path) -> Path:
        """Writes one HTML page with all of the answer: verdict, pictures, table, final model, settings."""
        return page.page(
            self.selection,
            path=path,
            settings=self.settings,
            versions=versions(),
            command=self.command,
            audit=audit(self.model),
            chosen=self.chosen,
            records=self.records,
        )

    def tensorboard(self, folder: str | Path) -> Path:
        """Writes every training for TensorBoard, with its hyperparameters: `tensorboard --logdir FOLDER`."""
        return tensorboard.write(self.records, folder=folder, metric=self.selection.metric)

    def save(self, directory: str | Path) -> None:
        """Writes `result.csv`, `result.json`, `report.html` and `tensorboard/` into a directory."""
        directory = Path(directory)
        report.write_files(self.selection, directory)
        self.report(directory / REPORT)
        self.tensorboard(directory / "tensorboard")
