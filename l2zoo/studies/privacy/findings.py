"""What an audit found: what each attack achieves, with its intervals, and that in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l2zoo.stats.roc import LEVEL, Interval, Roc, advantage, auc, roc, tpr_at_false_positives
from l2zoo.utils.validation import did_you_mean


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
        tells: Whether it tells members from others: its AUC is above 0.5 at a confidence that holds for all
            attacks of the audit together.
    """

    name: str
    auc: Interval
    advantage: Interval
    tpr: Interval
    roc: Roc
    tells: bool

    @classmethod
    def measured(
        cls, name: str, scores: np.ndarray, *, members: int, seed: int = 0, attacks: int = 1
    ) -> Attack:
        """Judges an attack, one of so many, by its scores `(N,)`, members first.

        The best of several attacks seems to tell more than it does, so each has a part of the error alone
        (Bonferroni).
        """
        mine, theirs = scores[:members], scores[members:]
        strict = auc(mine, theirs, level=1 - (1 - LEVEL) / attacks)
        return cls(
            name,
            auc(mine, theirs),
            advantage(mine, theirs, seed=seed),
            tpr_at_false_positives(mine, theirs),
            roc(mine, theirs),
            tells=strict.low > 0.5,
        )


@dataclass(frozen=True, eq=False)
class Findings:
    """What an audit found, as values.

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
        names = [attack.name for attack in self.attacks]
        raise KeyError(f"There is no attack {name!r}, only {names}.{did_you_mean(name, names)}")

    @property
    def strongest(self) -> Attack:
        """The attack with the largest AUC."""
        return max(self.attacks, key=lambda attack: attack.auc.value)

    @property
    def sentence(self) -> str:
        """The finding in words, for a model card."""
        best = self.strongest
        found = ", ".join(f"{attack.auc} by {attack.name}" for attack in self.attacks)
        models = f"{self.references} reference models" if self.references else "no reference models"
        told = any(attack.tells for attack in self.attacks)
        verdict = "can be told from others" if told else "could not be told from others"
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
