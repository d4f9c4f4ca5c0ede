"""What an experiment found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from l2zoo.artifacts import Artifact
from l2zoo.regularization.audit import audit
from l2zoo.reports.numbers import decimals
from l2zoo.reports.table import Column, Table, cell
from l2zoo.search.result import SearchResult
from l2zoo.stats.summary import mean_and_error
from l2zoo.studies.privacy import PrivacyReport

if TYPE_CHECKING:
    from rich.console import Group


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an experiment found. Rich prints all of it: `rich.print(outcome)`.

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
    model: keras.Model = dataclasses.field(repr=False)
    parameters: int
    seconds: float
    picture: Path
    artifact: Artifact = dataclasses.field(repr=False)
    search: SearchResult | None = dataclasses.field(default=None, repr=False)
    chosen: str = ""
    watched: Path | None = None
    privacy: PrivacyReport | None = dataclasses.field(default=None, repr=False)
    report: Path | None = None

    def table(self) -> Table:
        """Mean and standard error of every metric."""
        return metrics_table(self.metrics, title=f"Test set, {len(self.seeds)} seeds, l2={self.l2:g}")

    def __rich__(self) -> Group:
        from rich.console import Group

        searched = () if self.search is None else (self.search.table(), self.chosen)
        audited = () if self.privacy is None else (self.privacy.sentence,)
        where = f"Picture: {self.picture}\nReport: {self.report}\nArtifact: {self.artifact.folder}"
        return Group(*searched, audit(self.model).summary, self.table(), *audited, str(self.artifact), where)


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
    return Table.of([heading, Column("Mean"), Column("± SE"), Column("Each seed")], rows, title=title)
