"""`Comparison`: the answer of `compare`, as a table, sentences, a picture and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.stats import summary
from l2zoo.stats.multiple import Difference, difference, holm
from l2zoo.stats.paired import rounding_of
from l2zoo.studies.compare import text
from l2zoo.studies.compare.files import written
from l2zoo.studies.compare.forest import forest_plot
from l2zoo.studies.compare.selection import Scores

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a variant stands.

    Attributes:
        name: Of the variant.
        scores: Of each (seed, fold); fold 0 is all there is with a test set.
        strength: That it was trained with, or that all folds together choose; None where there is no choice.
        failed: How many of its trainings failed.
        difference: To the baseline; None for the baseline itself, and where too few trainings finished.
        p_holm: Of that difference, corrected for all the comparisons (Holm).
    """

    name: str
    scores: Scores
    strength: float | None = None
    failed: int = 0
    difference: Difference | None = None
    p_holm: float | None = None

    @property
    def mean(self) -> float:
        """Mean score; NaN if no training finished."""
        return summary.mean(self.scores.values())

    @property
    def standard_error(self) -> float:
        """Standard deviation of the scores over the root of their number; NaN below two."""
        return summary.standard_error(self.scores.values())


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison found. Rich prints all of it; `str()` gives the sentences.

    Attributes:
        standings: One for each variant, in the order in which they were given.
        baseline: Name of the variant with which the others were compared.
        metric: What the scores are.
        mode: `"max"` where more is better, `"min"` where less is.
        seeds: How many.
        folds: How many; 0 where the scores are those on a test set.
        settings: What the scores depend on, in plain values.
        seconds: How long this call took.
    """

    standings: Sequence[Standing]
    baseline: str
    metric: str
    mode: str
    seeds: int
    folds: int
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    seconds: float = 0.0

    def __getitem__(self, name: str) -> Standing:
        return next(each for each in self.standings if each.name == name)

    @cached_property
    def may_be_said(self) -> str:
        """What these trainings show, in sentences."""
        return text.may_be_said(self)

    @cached_property
    def may_not_be_said(self) -> str:
        """What one might take from the table and these trainings do not show."""
        return text.may_not_be_said(self)

    def table(self) -> Table:
        """A row for each variant: mean and standard error, difference to the baseline, corrected p."""
        return text.table(self)

    def plot(self, path: str | Path) -> Path:
        """Draws a forest plot: the difference of every variant to the baseline, with its intervals.

        Args:
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

        Raises:
            ValueError: Another ending.
        """
        return forest_plot(self, path)

    def save(self, directory: str | Path) -> Path:
        """Writes `comparison.csv`, `comparison.json`, the picture and `report.html` into a folder."""
        return written(self, directory)

    def __str__(self) -> str:
        return f"{self.may_be_said}\n\n{self.may_not_be_said}"

    def __rich__(self) -> Group:
        from rich.console import Group

        return Group(self.table(), "", self.may_be_said, "", self.may_not_be_said)


def judged(standings: Sequence[Standing], *, baseline: str, folds: int) -> list[Standing]:
    """The standings with their differences to the baseline, and Holm's correction over all of them.

    Args:
        standings: With scores, without differences.
        baseline: Name of one of them.
        folds: How many there are; 0 where only seeds differ.
    """
    base = next(each for each in standings if each.name == baseline)
    rounding = rounding_of([score for each in standings for score in each.scores.values()])
    overlap = 1 / (folds - 1) if folds else 0.0
    found: dict[str, Difference] = {}
    for each in standings:
        common = [unit for unit in each.scores if unit in base.scores]
        gains = [each.scores[unit] - base.scores[unit] for unit in common]
        gap = difference(gains, overlap=overlap, rounding=rounding, comparisons=len(standings) - 1)
        if each is not base and gap is not None:
            found[each.name] = gap
    corrected = dict(zip(found, holm([gap.p for gap in found.values()]), strict=True))
    return [
        dataclasses.replace(each, difference=found.get(each.name), p_holm=corrected.get(each.name))
        for each in standings
    ]
