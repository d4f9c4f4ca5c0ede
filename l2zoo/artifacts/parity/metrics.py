"""Running figures of one file's answers beside the Keras model's, from batch to batch.

A detector's boxes are sorted by score. Two that the model likes equally well may come out in either order,
and rounding decides in which: that is no difference between two detectors, so boxes are matched first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from l2zoo.artifacts.inputs import Outputs
from l2zoo.artifacts.task_spec import DETECTIONS
from l2zoo.tasks.output_kind import OutputKind, is_distribution

_TINY = 1e-12  # standard deviation of an output that always says the same


@dataclass
class _Spread:
    """Sums of one output, for its mean difference in its own standard deviations."""

    classes: OutputKind | None  # what they mean, of an output with classes
    difference: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    numbers: int = 0

    @property
    def relative_diff(self) -> float:
        mean = self.total / self.numbers
        deviation = max(self.squares / self.numbers - mean**2, 0.0) ** 0.5
        return self.difference / self.numbers / max(deviation, _TINY)


@dataclass
class Tally:
    """Figures of one format, so that no more than a batch of outputs need be held.

    Args:
        name: The format, for messages.
        kinds: As in `compare`.
    """

    name: str
    kinds: Mapping[str, OutputKind] = field(default_factory=dict)
    examples: int = 0
    largest: float = -1.0
    worst: int = 0
    agreed: int = 0
    decisions: int = 0
    final_boxes: bool = False  # a detector's, whose scores may add up to 1 and are no shares of classes
    spreads: dict[str, _Spread] = field(default_factory=dict)

    def add(self, expected: Outputs, got: Outputs) -> None:
        """Counts in a batch.

        Raises:
            ValueError: An answer is NaN or infinite, or has other outputs or shapes than expected.
        """
        if expected.keys() != got.keys():
            raise ValueError(f"{self.name} has outputs {sorted(got)}, the Keras model {sorted(expected)}.")
        for key, wanted in expected.items():
            self._check(key, np.asarray(wanted), np.asarray(got[key]))
        got = match_boxes(expected, got)
        self.final_boxes = set(expected) == DETECTIONS
        for key, wanted in expected.items():
            self._add_output(key, np.asarray(wanted, np.float64), np.asarray(got[key], np.float64))
        self.examples += len(next(iter(expected.values())))

    def _check(self, key: str, wanted: np.ndarray, answered: np.ndarray) -> None:
        if wanted.shape != answered.shape:
            raise ValueError(
                f"{self.name} answers {key!r} with shape {answered.shape}, "
                f"the Keras model with {wanted.shape}."
            )
        for who, values in (("The Keras model", wanted), (self.name, answered)):
            broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if broken.any():
                raise ValueError(
                    f"{who} answers {key!r} with NaN or infinity, first for image "
                    f"{self.examples + int(broken.argmax())} of the sample. Look for weights that are not "
                    "finite, and for a division by zero in the model."
                )

    def _add_output(self, key: str, wanted: np.ndarray, answered: np.ndarray) -> None:
        if key not in self.spreads:
            self.spreads[key] = _Spread(meaning_of_classes(wanted, self.kinds.get(key), self.final_boxes))
        spread = self.spreads[key]
        says = spread.classes
        if says is not None:
            same = says.decide(wanted) == says.decide(answered)
            wanted, answered = says.probabilities(wanted), says.probabilities(answered)
            self.agreed += int(same.sum())
            self.decisions += same.size
        differences = np.abs(answered - wanted)
        by_example = differences.reshape(len(differences), -1).max(axis=1)
        if by_example.max() > self.largest:
            self.largest, self.worst = float(by_example.max()), self.examples + int(by_example.argmax())
        spread.difference += float(differences.sum())
        spread.total += float(wanted.sum())
        spread.squares += float(np.square(wanted).sum())
        spread.numbers += wanted.size

    @property
    def mean_abs_diff(self) -> float:
        numbers = sum(one.numbers for one in self.spreads.values())
        return sum(one.difference for one in self.spreads.values()) / numbers

    @property
    def argmax_agreement(self) -> float | None:
        return self.agreed / self.decisions if self.decisions else None

    @property
    def relative_diff(self) -> float | None:
        return max((one.relative_diff for one in self.spreads.values() if one.classes is None), default=None)


def meaning_of_classes(answers: np.ndarray, kind: OutputKind | None, final_boxes: bool) -> OutputKind | None:
    """What the numbers of an output with classes mean, by their own look where it is not known; else None.

    Args:
        answers: `(B, ..., K)`, the model's.
        kind: What they mean, if it is known.
        final_boxes: Whether they are of a detector.
    """
    if kind is not None:
        return None if kind.name == "values" else kind
    return OutputKind("probabilities") if not final_boxes and is_distribution(answers) else None


def match_boxes(wanted: Outputs, answered: Outputs) -> Outputs:
    """`answered` with the boxes of each image in the order of those of `wanted` that they are most like.

    Args:
        wanted: `boxes_xyxy` `(B, N, 4)`, `scores` `(B, N)` and `classes` `(B, N)`; others stay.
        answered: Likewise.

    Example:
        >>> one = {"boxes_xyxy": np.array([[[0, 0, 2, 2], [4, 4, 6, 6]]]), "scores": np.array([[0.5, 0.5]]),
        ...        "classes": np.array([[1, 2]])}
        >>> other = {name: part[:, ::-1] for name, part in one.items()}
        >>> match_boxes(one, other)["classes"].tolist()
        [[1, 2]]
    """
    if set(wanted) != DETECTIONS or any(wanted[name].shape != answered[name].shape for name in DETECTIONS):
        return answered
    rows = np.stack([_order(*pair) for pair in zip(_points(wanted), _points(answered), strict=True)])
    return {
        name: np.take_along_axis(part, rows.reshape(*rows.shape, *[1] * (part.ndim - 2)), axis=1)
        for name, part in answered.items()
    }


def _points(found: Outputs) -> np.ndarray:
    """`(B, N, 6)`: a box with its score and class as a point; another class is far away."""
    far = 10 * max(1.0, float(np.abs(found["boxes_xyxy"]).max()))
    parts = [found["boxes_xyxy"], found["scores"][..., None], far * found["classes"][..., None]]
    return np.concatenate(parts, axis=-1)


def _order(wanted: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """`(N,)`: which answered point belongs to each wanted one, so that they are close in all."""
    distances = np.abs(wanted[:, None] - answered[None]).sum(axis=-1)
    least, own = distances.min(axis=1), np.arange(len(distances))
    nearest = np.where(np.diagonal(distances) == least, own, distances.argmin(axis=1))
    if len(np.unique(nearest)) == len(nearest):  # each has its nearest: no other order is closer
        return nearest
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(distances)[1]
