"""What an experiment found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo.artifacts import Artifact
from l2zoo.regularization.audit import audit
from l2zoo.reports.numbers import decimals, format_mean
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Column, Table, cell
from l2zoo.search.result import SearchResult
from l2zoo.stats.summary import mean_and_error
from l2zoo.studies.privacy import PrivacyReport


@dataclasses.dataclass(frozen=True, repr=False)
class Outcome(Printed):
    """What an experiment found. Prints as its figures; Rich and notebooks show the tables too.

    Attributes:
        l2: The strength.
        seeds: One training each.
        metrics: Name to the value of each seed, on the test set.
        model: That of the first seed.
        parameters: Of the model.
        seconds: Of the trainings that this call did.
        picture: What the model says of some test images.
        artifact: The exported model.
        search: How the strength was chosen, if it was searched.
        chosen: That in words.
        watched: The heat map of what L2 did to each kernel of the first model, if it was watched.
        privacy: What the first model gives away about its training images, if that was asked.
        report: All of this as one page.
    """

    l2: float
    seeds: tuple[int, ...]
    metrics: Mapping[str, tuple[float, ...]]
    model: keras.Model
    parameters: int
    seconds: float
    picture: Path
    artifact: Artifact
    search: SearchResult | None = None
    chosen: str = ""
    watched: Path | None = None
    privacy: PrivacyReport | None = None
    report: Path | None = None

    def table(self) -> Table:
        """Mean and standard error of every metric."""
        return metrics_table(self.metrics, title=f"Test set, {len(self.seeds)} seeds, l2={self.l2:g}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON: the metrics of every seed, the search, where the files are."""
        files = {"picture": self.picture, "report": self.report, "artifact": self.artifact.folder}
        return {
            "l2": self.l2,
            "seeds": list(self.seeds),
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "parameters": self.parameters,
            "seconds": self.seconds,
            "search": None if self.search is None else self.search.to_dict(),
            "chosen": self.chosen,
            "privacy": None if self.privacy is None else self.privacy.sentence,
            "files": {name: str(path) for name, path in files.items() if path is not None},
        }

    def _lines(self) -> list[str]:
        means = [
            f"{name} {format_mean(*mean_and_error(values), digits=decimals(values, usual=4))}"
            for name, values in self.metrics.items()
        ]
        seeds = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        lines = [
            f"Test set, {seeds}, l2={self.l2:g}: {', '.join(means)}.",
            self.chosen,
            audit(self.model).summary,
            "" if self.privacy is None else self.privacy.sentence,
            f"Picture: {self.picture}",
            f"Report: {self.report}",
            f"Artifact: {self.artifact.folder}",
        ]
        return [line for line in lines if line]

    def _tables(self) -> list[Table]:
        searched = [] if self.search is None else [self.search.table()]
        return [*searched, self.table(), self.artifact.table()]

    def _page(self) -> Path | None:
        return self.report


def metrics_table(
    metrics: Mapping[str, Sequence[float]], *, title: str = "", heading: str = "Metric"
) -> Table:
    """A row for each metric: its mean, the standard error of that, and the value of every seed.

    Args:
        metrics: Name to the value of each seed.
        title: Of the table.
        heading: Of the names.
    """
    rows = []
    for name, values in metrics.items():
        mean, error = mean_and_error(values)
        number = f"{{:.{decimals(values, usual=4)}f}}"
        each = " ".join(map(number.format, values))
        rows.append((name, cell(mean, number), cell(error, number), each))
    return Table.of([heading, Column("Mean"), Column("± SE"), "Each seed"], rows, title=title)
