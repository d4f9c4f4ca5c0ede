"""How good a file's answers are, one judge a kind of answer: the metrics of `l2zoo.tasks`, without Keras.

A judge counts in one batch after another, and says of each image how wrong the answer is, so that the worst
can be shown.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from l2zoo.artifacts.inputs import Outputs
from l2zoo.inference.results import Result
from l2zoo.tasks import scores
from l2zoo.tasks.detection import average_precision as precision
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.tasks.segmentation import overlap

OVERLAP = 0.5  # of a box found and a true one, from which on it is said to have found it
_TINY = 1e-12  # a probability of 0 would be infinitely wrong

Row = dict[str, Any]
"""A class, or a number that is predicted, with its figures by name; None where there is none."""


@dataclass(frozen=True, eq=False)
class Case:
    """An image on which a file is far off.

    Attributes:
        name: Its file, or its number.
        true: What it is, in words.
        error: How wrong the answer is; the judge of its task says by what measure.
        pixels: `(H, W, C)`, as the model saw them.
        target: What is true, in the artifact's numbers.
        result: What is said.
    """

    name: str
    true: str
    error: float
    pixels: np.ndarray = field(repr=False)
    target: Any = field(repr=False)
    result: Result = field(repr=False)


class Judge(Protocol):
    """Figures of the answers so far."""

    def add(self, outputs: Outputs, targets: Any) -> np.ndarray:
        """Counts in a batch of answers; gives `(B,)`, how wrong each is: the larger, the worse."""

    def metrics(self) -> dict[str, float]:
        """The figures that the task measures on a Keras model."""

    def classes(self) -> list[Row]:
        """Figures of each class, or of each number that is predicted."""

    def confusion(self) -> np.ndarray | None:
        """How often each true class (row) was taken for each (column), `(K, K)`, where an image has one."""

    def describe(self, target: Any) -> str:
        """What is true of an image, in a few words."""


class ClassJudge:
    """Of images with one of several classes. What is wrong is measured by the cross-entropy."""

    def __init__(self, names: Sequence[str], kind: OutputKind):
        self._names, self._kind = names, kind
        self._outputs: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, outputs: Outputs, targets: np.ndarray) -> np.ndarray:
        (answers,) = outputs.values()
        self._outputs.append(answers)
        self._labels.append(targets)
        found = scores.exact_probabilities(answers, self._kind)
        return -np.log(np.maximum(found[np.arange(len(targets)), targets], _TINY))

    def metrics(self) -> dict[str, float]:
        outputs, labels = np.concatenate(self._outputs), np.concatenate(self._labels)
        return {
            **scores.class_scores(outputs, labels, self._kind),
            "log_loss": scores.log_loss(outputs, labels, self._kind),
            "calibration_error": scores.calibration_error(outputs, labels, self._kind),
        }

    def classes(self) -> list[Row]:
        matrix = self.confusion()
        right, true, said = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        return _rows(self._names, right, true, said, what="images")

    def confusion(self) -> np.ndarray:
        labels = np.concatenate(self._labels)
        said = self._kind.decide(np.concatenate(self._outputs))
        return overlap.confusion(labels, said, len(self._names), ignore=None)

    def describe(self, target: Any) -> str:
        return str(self._names[int(target)])


class LabelJudge:
    """Of images with any number of classes. What is wrong is measured by the mean cross-entropy of labels."""

    def __init__(self, names: Sequence[str], kind: OutputKind):
        self._names, self._kind = names, kind
        self._said: list[np.ndarray] = []
        self._true: list[np.ndarray] = []

    def add(self, outputs: Outputs, targets: np.ndarray) -> np.ndarray:
        (answers,) = outputs.values()
        true = np.asarray(targets) > 0.5
        self._said.append(self._kind.decide(answers))
        self._true.append(true)
        found = self._kind.probabilities(answers.astype(np.float64))
        return -np.log(np.maximum(np.where(true, found, 1 - found), _TINY)).mean(axis=1)

    def metrics(self) -> dict[str, float]:
        said, true = np.concatenate(self._said), np.concatenate(self._true)
        return {**scores.label_scores(said, true), "all_right": scores.all_right(said, true)}

    def classes(self) -> list[Row]:
        said, true = np.concatenate(self._said), np.concatenate(self._true)
        return _rows(self._names, (said & true).sum(0), true.sum(0), said.sum(0), what="images")

    def confusion(self) -> None:
        return None

    def describe(self, target: Any) -> str:
        return ", ".join(n for n, there in zip(self._names, target, strict=True) if there > 0.5) or "none"


class MaskJudge:
    """Of images of which each pixel has a class. What is wrong is what their mean IoU lacks to 1."""

    def __init__(self, names: Sequence[str], kind: OutputKind):
        self._names, self._kind = names, kind
        self._matrix = np.zeros((len(names), len(names)), np.int64)

    def add(self, outputs: Outputs, targets: np.ndarray) -> np.ndarray:
        (answers,) = outputs.values()
        pairs = zip(targets, self._kind.decide(answers), strict=True)
        each = [overlap.confusion(true, said, len(self._names)) for true, said in pairs]
        self._matrix += sum(each)
        return np.array([1 - overlap.mean_iou(one) if one.any() else 0.0 for one in each])

    def metrics(self) -> dict[str, float]:
        return overlap.scores(self._matrix)

    def classes(self) -> list[Row]:
        figures = {
            "pixels": self._matrix.sum(axis=1),
            "iou": overlap.iou_by_class(self._matrix),
            "dice": overlap.dice_by_class(self._matrix),
        }
        return _table(self._names, figures)

    def confusion(self) -> None:
        return None

    def describe(self, target: Any) -> str:
        there = np.unique(target[target != overlap.UNLABELLED])
        return ", ".join(str(self._names[number]) for number in there) or "not labelled"


class BoxJudge:
    """Of images with boxes. What is wrong is how many true boxes are missed, and how many found are none.

    Average precision looks at all boxes; what is wrong with an image, at those with a score of `min_score`.
    """

    def __init__(self, names: Sequence[str], min_score: float):
        self._names, self._min_score = names, min_score
        self._found: list[Mapping[str, np.ndarray]] = []
        self._true: list[Mapping[str, np.ndarray]] = []

    def add(self, outputs: Outputs, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        self._found.append(outputs)
        self._true.append(targets)
        parts = zip(
            outputs["boxes_xyxy"], outputs["scores"], outputs["classes"],
            targets["boxes_xyxy"], targets["labels"], strict=True,
        )  # fmt: skip
        return np.array([self._mistakes(*image) for image in parts], float)

    def metrics(self) -> dict[str, float]:
        return precision.over_classes(self._precision)

    def classes(self) -> list[Row]:
        labels = np.concatenate([part["labels"].ravel() for part in self._true])
        objects = np.bincount(labels[labels >= 0], minlength=len(self._names))
        return _table(self._names, {"objects": objects, **self._precision})

    def confusion(self) -> None:
        return None

    def describe(self, target: Any) -> str:
        labels = target["labels"][target["labels"] >= 0]
        return ", ".join(str(self._names[number]) for number in labels) or "nothing"

    @functools.cached_property
    def _precision(self) -> dict[str, np.ndarray]:
        found, true = (
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            for parts in (self._found, self._true)
        )
        return precision.precision_by_class(found, true, num_classes=len(self._names))

    def _mistakes(
        self, boxes: np.ndarray, sure: np.ndarray, classes: np.ndarray, true: np.ndarray, labels: np.ndarray
    ) -> int:
        """Of an image: true boxes that none found, and boxes found that are none or found again."""
        there = (sure >= self._min_score) & (sure > 0)
        order = np.flatnonzero(there)[np.argsort(-sure[there], kind="stable")]
        left = {int(number) for number in np.flatnonzero(labels >= 0)}
        mistakes = 0
        for number in order:
            shares = {i: iou(boxes[number], true[i]) for i in left if labels[i] == np.rint(classes[number])}
            best = max(shares, key=lambda i: shares[i], default=None)
            if best is None or shares[best] < OVERLAP:
                mistakes += 1
            else:
                left.remove(best)
        return mistakes + len(left)


class ValueJudge:
    """Of images with numbers. What is wrong is the mean error, each in standard deviations of the true ones.

    Args:
        spread: `(D,)`, these deviations.
    """

    def __init__(self, spread: np.ndarray):
        self._spread = np.where(spread > 0, spread, 1.0)
        self._found: list[np.ndarray] = []
        self._wanted: list[np.ndarray] = []

    def add(self, outputs: Outputs, targets: np.ndarray) -> np.ndarray:
        (answers,) = outputs.values()
        found, wanted = scores.columns(answers), scores.columns(targets)
        self._found.append(found)
        self._wanted.append(wanted)
        return (np.abs(found - wanted) / self._spread).mean(axis=1)

    def metrics(self) -> dict[str, float]:
        return scores.value_scores(np.concatenate(self._found), np.concatenate(self._wanted))

    def classes(self) -> list[Row]:
        found, wanted = np.concatenate(self._found), np.concatenate(self._wanted)
        if wanted.shape[1] == 1:
            return []
        each = [scores.value_scores(*pair) for pair in zip(found.T, wanted.T, strict=True)]
        return [{"name": str(number), **one} for number, one in enumerate(each)]

    def confusion(self) -> None:
        return None

    def describe(self, target: Any) -> str:
        return ", ".join(f"{value:.4g}" for value in np.atleast_1d(target))


def judge_for(
    task: str, kind: OutputKind | None, names: Sequence[str], *, targets: Any, min_score: float
) -> Judge:
    """The judge of an artifact's answers.

    Args:
        task: That of the data, as `ImageData` has it.
        kind: What the output means; None of final boxes.
        names: Of the classes.
        targets: All true numbers, `(N,)` or `(N, D)`, of regression; else not looked at.
        min_score: From which on a box is said to be there.
    """
    if kind is None:
        return BoxJudge(names, min_score)
    if task == "regression":
        return ValueJudge(scores.columns(targets).std(axis=0))
    if task == "segmentation":
        return MaskJudge(names, kind)
    return LabelJudge(names, kind) if task == "multilabel" else ClassJudge(names, kind)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes `(4,)`: left, top, right, bottom.

    Example:
        >>> iou(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2]))
        0.3333333333333333
    """
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.maximum(sides, 0).prod())
    areas = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod())
    return shared / (areas - shared) if areas > shared else 0.0


def _rows(
    names: Sequence[str], right: np.ndarray, true: np.ndarray, said: np.ndarray, *, what: str
) -> list[Row]:
    """Precision, recall and F1 of each class, of how often it was rightly said, true, and said."""
    figures = {
        what: true,
        "precision": _share(right, said),
        "recall": _share(right, true),
        "f1": _share(2 * right, true + said),
    }
    return _table(names, figures)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _table(names: Sequence[str], figures: Mapping[str, np.ndarray]) -> list[Row]:
    """A row for each class, in plain values."""
    return [
        {"name": str(name), **{figure: _plain(values[i]) for figure, values in figures.items()}}
        for i, name in enumerate(names)
    ]


def _plain(value: Any) -> float | int | None:
    number = value.item()
    return None if number != number else number
