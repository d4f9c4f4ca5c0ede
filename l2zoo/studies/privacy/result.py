"""`PrivacyReport`: the answer of `privacy_audit`, as a table and a picture; and of several strengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2zoo.reports.numbers import format_mean, format_strength
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Cell, Column, Table, cell
from l2zoo.stats.roc import Interval
from l2zoo.studies.privacy import plots
from l2zoo.studies.privacy.findings import Findings


@dataclass(frozen=True, eq=False, repr=False)
class PrivacyReport(Printed, Findings):
    """The answer of `privacy_audit`. Prints as its sentence.

    Attributes:
        attacks: The loss threshold, and with reference models LiRA and its offline form.
        control: How well members and others are told apart by how sure reference models are of images that
            they have not seen. None without reference models.
        members: How many images of the training set were attacked.
        others: How many that the model has not seen.
        references: How many reference models.
        train_accuracy: On the members.
        test_accuracy: On the others.
    """

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON: every attack with its 95 % intervals."""
        found = [*self.attacks, *([self.control] if self.control else [])]
        return {
            "sentence": self.sentence,
            "members": self.members,
            "others": self.others,
            "references": self.references,
            "train_accuracy": self.train_accuracy,
            "test_accuracy": self.test_accuracy,
            "attacks": {
                one.name: {name: asdict(getattr(one, name)) for name in ("auc", "advantage", "tpr")}
                for one in found
            },
        }

    def _lines(self) -> list[str]:
        return [self.sentence]

    def _tables(self) -> list[Table]:
        return [self.table()]

    def table(self) -> Table:
        """A row an attack, and one for the control, each number with its 95 % interval. Prints with Rich."""
        found = [*self.attacks, *([self.control] if self.control else [])]
        rows = [
            (one.name, *(Cell(str(n), n.value) for n in (one.auc, one.advantage, one.tpr))) for one in found
        ]
        return Table.of(["Attack", *map(Column, ("AUC", "Advantage", "TPR at 1 % FPR"))], rows)

    def plot(self, path: str | Path) -> Path:
        """Draws the curves on logarithmic axes, where the few images that are found for certain can be seen.

        Args:
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

        Raises:
            ValueError: The path ends in something else.

        References:
            Carlini et al. 2022, Membership Inference Attacks From First Principles (logarithmic axes).
        """
        return plots.roc_curves(self).save(path)


def table_of_strengths(reports: Mapping[float, Findings]) -> Table:
    """A row for each strength and attack, with 95 % intervals. Prints with Rich.

    `Train` and `Test` are accuracies on members and others; the last column is the share of the members that
    is found at 1 % false positives.

    Args:
        reports: Strength to its audit.

    Raises:
        ValueError: There are none.
    """
    rows = []
    for strength, report in _in_order(reports).items():
        accuracies = (report.train_accuracy, report.test_accuracy)
        begins = [Cell(format_strength(strength), strength), *(cell(a, "{:.3f}") for a in accuracies)]
        for one in report.attacks:
            if one.name in plots.SHOWN:
                rate, low, high = (100 * share for share in (one.tpr.value, one.tpr.low, one.tpr.high))
                found = Cell(f"{rate:.1f} [{low:.1f}, {high:.1f}]", rate)
                rows.append([*begins, one.name, _short(one.auc), _short(one.advantage), found])
                begins = [Cell("")] * 3
    names = ("AUC", "Advantage", "% found at 1 %")
    return Table.of([*map(Column, ("l2", "Train", "Test")), "Attack", *map(Column, names)], rows)


def plot_strengths(reports: Mapping[float, Findings], path: str | Path) -> Path:
    """Draws the AUC of each attack with its interval, and below it the accuracy that the strength costs.

    Args:
        reports: Strength to its audit.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Raises:
        ValueError: There are no audits, or the path ends in something else.
    """
    return plots.strengths(_in_order(reports)).save(path)


def _in_order(reports: Mapping[float, Findings]) -> dict[float, Findings]:
    if not reports:
        raise ValueError("`reports` must hold at least one audit, by its strength; it is empty.")
    return dict(sorted(reports.items()))


def _short(measured: Interval) -> Cell:
    """With half of the interval, before it was cut off at 0 or 1."""
    half = max(measured.value - measured.low, measured.high - measured.value)
    return Cell(format_mean(measured.value, half), measured.value)
