"""Running figures of one file's answers beside the Keras model's, from batch to batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from l2zoo.artifacts.parity.match_boxes import matched
from l2zoo.artifacts.sample import Outputs
from l2zoo.artifacts.task_spec import DETECTIONS

_TINY = 1e-12  # standard deviation of an output that always says the same


@dataclass
class _Spread:
    """Sums of one output, for its mean difference in its own standard deviations."""

    has_classes: bool
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
        num_classes: As in `compare`.
    """

    name: str
    num_classes: int | None = None
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
        got = matched(expected, got)
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
        differences = np.abs(answered - wanted)
        by_example = differences.reshape(len(differences), -1).max(axis=1)
        if by_example.max() > self.largest:
            self.largest, self.worst = float(by_example.max()), self.examples + int(by_example.argmax())
        if key not in self.spreads:
            self.spreads[key] = _Spread(not self.final_boxes and has_classes(wanted, self.num_classes))
        spread = self.spreads[key]
        spread.difference += float(differences.sum())
        spread.total += float(wanted.sum())
        spread.squares += float(np.square(wanted).sum())
        spread.numbers += wanted.size
        if spread.has_classes:
            same = wanted.argmax(axis=-1) == answered.argmax(axis=-1)
            self.agreed += int(same.sum())
            self.decisions += same.size

    @property
    def mean_abs_diff(self) -> float:
        numbers = sum(one.numbers for one in self.spreads.values())
        return sum(one.difference for one in self.spreads.values()) / numbers

    @property
    def argmax_agreement(self) -> float | None:
        return self.agreed / self.decisions if self.decisions else None

    @property
    def relative_diff(self) -> float | None:
        return max((one.relative_diff for one in self.spreads.values() if not one.has_classes), default=None)


def has_classes(outputs: np.ndarray, num_classes: int | None) -> bool:
    """Whether the last axis has a number for each class: probabilities, or as many numbers as classes."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        return False
    if outputs.shape[-1] == num_classes:
        return True
    return bool(outputs.min() >= 0 and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3))
