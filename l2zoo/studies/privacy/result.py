"""What an audit found: each attack with its intervals, as a table, a sentence and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from l2zoo.stats import intervals
from l2zoo.stats.intervals import Interval
from l2zoo.stats.roc import Roc, roc

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class Attack:
    """What one attack achieves.

    Attributes:
        name: Of the attack.
        auc: Area under the curve: 0.5 is a coin, 1 tells every member.
        advantage: The largest difference of the true-positive and the false-positive rate, in [0, 1].
        tpr: Share of the members that it finds where it is wrong about 1 % of the others: what privacy is
            about is who is found, not how many are guessed right on average.
        roc: The curve.
    """

    name: str
    auc: Interval
    advantage: Interval
    tpr: Interval
    roc: Roc

    @classmethod
    def measured(cls, name: str, scores: np.ndarray, *, members: int, seed: int = 0) -> Attack:
        """Judges an attack by its scores `(N,)`, members first."""
        mine, theirs = scores[:members], scores[members:]
        advantage, tpr = intervals.advantage_and_tpr(mine, theirs, seed=seed)
        return cls(name, intervals.auc(mine, theirs), advantage, tpr, roc(mine, theirs))


@dataclass(frozen=True, eq=False)
class PrivacyReport:
    """The answer of `privacy_audit`.

    Attributes:
        attacks: The loss threshold, and with reference models LiRA and its offline form.
        control: How well members and others are told apart by how sure reference models are of images that
            they have not seen. What differs from a coin here is not memory: one of the sets is harder, by
            chance or by where it comes from. None without reference models.
        members: How many images of the training set were attacked.
        others: How many that the model has not seen.
        references: How many reference models.
        train_accuracy: On the members.
        test_accuracy: On the others.
    """

    attacks: tuple[Attack, ...]
    control: Attack | None
    members: int
    others: int
    references: int
    train_accuracy: float
    test_accuracy: float

    def __getitem__(self, name: str) -> Attack:
        """The attack of that name."""
        for attack in self.attacks:
            if attack.name == name:
                return attack
        raise KeyError(f"There is no attack {name!r}, only {[attack.name for attack in self.attacks]}.")

    @property
    def strongest(self) -> Attack:
        """The attack with the largest AUC."""
        return max(self.attacks, key=lambda attack: attack.auc.value)

    def table(self) -> Table:
        """A row an attack, and one for the control, each number with its 95 % interval. Prints with Rich."""
        from rich.table import Table

        out = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("attack", "AUC", "advantage", "TPR at 1 % FPR"):
            out.add_column(name, justify="left" if name == "attack" else "right")
        for one in self.attacks:
            out.add_row(one.name, str(one.auc), str(one.advantage), str(one.tpr))
        if self.control is not None:
            one = self.control
            out.add_row("control", str(one.auc), str(one.advantage), str(one.tpr))
        return out

    @property
    def sentence(self) -> str:
        """The finding in words, for a model card."""
        best = self.strongest
        found = ", ".join(f"{attack.auc} by {attack.name}" for attack in self.attacks)
        models = f"{self.references} reference models" if self.references else "no reference models"
        verdict = "can be told from others" if best.auc.low > 0.5 else "could not be told from others"
        rate, low, high = (100 * share for share in (best.tpr.value, best.tpr.low, best.tpr.high))
        return (
            f"Images of the training set {verdict} by membership inference ({self.members} members, "
            f"{self.others} others, {models}): AUC {found}, where 0.5 is a coin; at 1 % false positives, "
            f"{best.name} finds {rate:.1f} % [{low:.1f}, {high:.1f}] of the members. In brackets, 95 % "
            f"intervals. Accuracy: {self.train_accuracy:.3f} on members, {self.test_accuracy:.3f} on others."
            f"{self._caution}"
        )

    @property
    def _caution(self) -> str:
        if self.control is None or 0.5 in self.control.auc:
            return ""
        if self.control.auc.value > 0.5:
            easier, means = "members", "a part of this is that the sets differ, not what the model remembers"
        else:
            easier, means = "others", "the loss alone finds fewer members than it would in sets alike"
        return (
            f" Caution: models that have not seen an image are surer of the {easier} as well (control AUC "
            f"{self.control.auc}), so {means}."
        )

    def plot(self, path: str | Path) -> Path:
        """Draws the curves on logarithmic axes, where the few images that are found for certain can be seen.

        Args:
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

        Raises:
            ValueError: The path ends in something else.

        References:
            Carlini et al. 2022, Membership Inference Attacks From First Principles (logarithmic axes).
        """
        from l2zoo.studies.privacy.curves import plot

        return plot(self, path)
