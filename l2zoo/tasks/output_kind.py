"""What the numbers of an output mean: probabilities, logits, sigmoids or plain values; NumPy alone.

A model gives numbers and does not say which. Whoever reads them must know: the largest of three logits is the
same class as the largest of three probabilities, but -0.43 is no probability; and of one sigmoid the largest
number is always the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2zoo.utils.validation import one_of

KINDS: Mapping[str, str] = {
    "probabilities": "probabilities of the classes, which add up to 1",
    "logits": "logits of the classes, of which a softmax makes probabilities",
    "binary": "the probability of the second of two classes",
    "binary_logits": "the logit of the second of two classes, of which a sigmoid makes its probability",
    "multilabel": "the probability of each class on its own; any number of them may be there",
    "multilabel_logits": "the logit of each class on its own, of which a sigmoid makes its probability",
    "values": "plain numbers",
}
EXCLUSIVE = (
    "probabilities",
    "logits",
    "binary",
    "binary_logits",
)  # an image or a pixel has one of the classes
OF_CLASSES = (*EXCLUSIVE, "multilabel", "multilabel_logits")
_SUM_OFF = 1e-3  # by which rounded probabilities may miss 1
_SLACK = 1e-6  # by which a rounded sigmoid may leave [0, 1]

Threshold = float | tuple[float, ...]


@dataclass(frozen=True)
class OutputKind:
    """What an output `(B, ..., K)` means, and from which probability on a class is said to be there.

    Args:
        name: One of `KINDS`.
        threshold: Of the second of two classes, or of each class on its own, in (0, 1); a number, or one for
            each of the K classes. For the kinds that have one.

    Raises:
        ValueError: An unknown name; a threshold out of range, or for a kind that takes the likeliest class.

    Example:
        >>> OutputKind("binary", threshold=0.9).decide(np.array([[0.2], [0.95]])).tolist()
        [0, 1]
    """

    name: str
    threshold: Threshold = 0.5

    def __post_init__(self) -> None:
        one_of("output_kind", self.name, tuple(KINDS))
        each = self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)
        fine = all(isinstance(one, int | float) and 0 < one < 1 for one in each)
        if not each or not fine:
            raise ValueError(
                f"`threshold` must be a number between 0 and 1, or one for each class, got {self.threshold}."
            )
        if each != (0.5,) and not self.has_threshold:
            raise ValueError(
                f"`threshold` is for outputs that are binary or multilabel, got threshold={self.threshold} "
                f"for {self.name}, of which the likeliest class is taken. Leave it out."
            )
        if isinstance(self.threshold, tuple) and self.is_binary:
            raise ValueError(f"`threshold` of two classes must be one number, got {self.threshold}.")

    @classmethod
    def of_spec(cls, spec: Mapping[str, Any]) -> OutputKind | None:
        """What a manifest says of an output, if it does."""
        name, threshold = spec.get("kind"), spec.get("threshold", 0.5)
        if name is None:
            return None
        return cls(name, tuple(threshold) if isinstance(threshold, list) else threshold)

    def to_spec(self) -> dict[str, Any]:
        """The same for a manifest."""
        each = list(self.threshold) if isinstance(self.threshold, tuple) else self.threshold
        return {"kind": self.name} | ({"threshold": each} if self.has_threshold else {})

    @property
    def is_binary(self) -> bool:
        """Whether one number stands for two classes."""
        return self.name in ("binary", "binary_logits")

    @property
    def is_exclusive(self) -> bool:
        """Whether an image or a pixel has one of the classes."""
        return self.name in EXCLUSIVE

    @property
    def has_threshold(self) -> bool:
        """Whether a class is said to be there from some probability on."""
        return self.name in OF_CLASSES and self.name not in ("probabilities", "logits")

    def num_classes(self, width: int) -> int:
        """How many classes an output tells apart whose last axis has `width` numbers."""
        return 2 if self.is_binary else width

    def probabilities(self, answers: np.ndarray) -> np.ndarray:
        """The probability of each class.

        Args:
            answers: `(B, ..., K)`, or `(B, ..., 1)` if binary, as the model gives them.

        Returns:
            `(B, ..., K)`, of two classes `(B, ..., 2)`, in the precision of `answers`; plain values as they
            are.

        Example:
            >>> OutputKind("logits").probabilities(np.array([[0.0, np.log(3)]])).tolist()
            [[0.25, 0.75]]
        """
        if self.name == "logits":
            raised = np.exp(answers - answers.max(axis=-1, keepdims=True))
            return raised / raised.sum(axis=-1, keepdims=True)
        if self.name == "binary_logits":  # 1 - p would lose what a p near 1 leaves
            return np.concatenate([_sigmoid(-answers), _sigmoid(answers)], axis=-1)
        found = _sigmoid(answers) if self.name == "multilabel_logits" else answers
        return np.concatenate([1 - found, found], axis=-1) if self.is_binary else found

    def decide(self, answers: np.ndarray) -> np.ndarray:
        """What is said: the class `(B, ...)`, or of independent ones whether each is there, `(B, ..., K)`.

        Raises:
            ValueError: The output has no classes.
        """
        if self.name == "values":
            raise ValueError("An output of plain values says no class.")
        if self.name in ("probabilities", "logits"):
            return answers.argmax(axis=-1)
        found = self.probabilities(answers)
        if self.is_binary:
            return (found[..., 1] >= self.threshold).astype(np.int64)
        return found >= np.asarray(self.threshold)

    def check_width(self, width: int, num_names: int | None = None) -> None:
        """Raises a `ValueError` if no such output has `width` numbers, or not for so many class names."""
        if self.is_binary and width != 1:
            raise ValueError(f"An output of kind {self.name!r} must have one number, got {width}.")
        if self.name in ("probabilities", "logits") and width < 2:
            raise ValueError(
                f"An output of kind {self.name!r} must have a number for each of two or more classes, got "
                f"{width}"
                '. Of one number a softmax is always 1: end the model with a sigmoid, and call it "binary".'
            )
        if isinstance(self.threshold, tuple) and len(self.threshold) != width:
            raise ValueError(f"`threshold` must be one number or {width}, got {len(self.threshold)}.")
        if num_names is None:
            return
        if self.name == "values":
            raise ValueError("`class_names` are for outputs with classes, this one gives plain values.")
        if num_names != self.num_classes(width):
            two = ", that of 0 and that of 1" if self.is_binary else ""
            raise ValueError(
                f"`class_names` must name the {self.num_classes(width)} classes of the model{two}, got "
                f"{num_names} names."
            )

    def check_answers(self, answers: np.ndarray) -> None:
        """Raises a `ValueError` if these cannot be answers of this kind; NaN is for others to tell."""
        if not np.isfinite(answers).all():
            return
        low, high = float(answers.min()), float(answers.max())
        wrong = ""
        if self.name == "probabilities" and not is_distribution(answers):
            wrong = f"do not add up to 1, or leave [0, 1]: they run from {low:.4g} to {high:.4g}"
        if self.name == "logits" and is_distribution(answers):
            wrong = "are probabilities already: they add up to 1"
        if self.name in ("binary", "multilabel") and not in_unit_range(answers):
            wrong = f"leave [0, 1]: they run from {low:.4g} to {high:.4g}"
        if wrong:
            raise ValueError(
                f"The output was to be {self.name!r}, {KINDS[self.name]}, but the model's answers {wrong}. "
                f"Say what it is, output_kind= one of {list(KINDS)}."
            )


def kinds_of(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, OutputKind]:
    """What a manifest says of outputs, by their names; those of which it says nothing are left out."""
    found = {name: OutputKind.of_spec(spec) for name, spec in specs.items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def check_threshold(threshold: Any) -> Threshold:
    """A threshold as `OutputKind` takes it, out of a number or a list of numbers."""
    if isinstance(threshold, Sequence | np.ndarray) and not isinstance(threshold, str):
        return tuple(float(one) for one in threshold)
    return threshold


def is_distribution(answers: np.ndarray) -> bool:
    """Whether the numbers on the last axis are shares of 1, two or more."""
    if answers.ndim < 2 or answers.shape[-1] < 2:
        return False
    return bool(answers.min() >= 0 and np.allclose(answers.sum(axis=-1), 1, atol=_SUM_OFF))


def in_unit_range(answers: np.ndarray) -> bool:
    """Whether all numbers are in [0, 1]."""
    return bool(answers.min() >= -_SLACK and answers.max() <= 1 + _SLACK)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """Without an overflow far below 0."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)
