"""What a predictor says of an image, in numbers and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_DIGITS = 6  # of a float32 that mean something


@dataclass(frozen=True, eq=False)  # arrays are not equal or unequal as a whole
class Classified:
    """What is in an image.

    Args:
        probabilities: `(K,)`, float32, as the model gives them.
        class_names: K names.
    """

    probabilities: np.ndarray
    class_names: Sequence[str]

    @property
    def class_name(self) -> str:
        """The likeliest class."""
        return self.class_names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """That of the likeliest class."""
        return float(self.probabilities.max())

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes with their probabilities, falling.

        Example:
            >>> Classified(np.array([0.25, 0.75], np.float32), ["cat", "dog"]).top(1)
            [('dog', 0.75)]
        """
        best = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.class_names[index], float(self.probabilities[index])) for index in best]

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON; all classes, the likeliest first."""
        every = [{"name": name, "probability": _round(p)} for name, p in self.top(len(self.class_names))]
        return {"class_name": self.class_name, "probability": _round(self.probability), "classes": every}


@dataclass(frozen=True, eq=False)
class Segmented:
    """Which class every pixel of an image belongs to.

    Args:
        mask: `(H, W)` of the image that was given, numbers of classes.
        class_names: K names.
    """

    mask: np.ndarray
    class_names: Sequence[str]

    @property
    def shares(self) -> dict[str, float]:
        """The share in [0, 1] of the pixels of each class that has any."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.class_names))
        pairs = zip(self.class_names, counts.tolist(), strict=True)
        return {name: count / self.mask.size for name, count in pairs if count}

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, the mask as lists of rows."""
        shares = {name: _round(share) for name, share in self.shares.items()}
        return {"class_names": list(self.class_names), "shares": shares, "mask": self.mask.tolist()}


@dataclass(frozen=True, eq=False)
class Detected:
    """What is where in an image, the surest first.

    Args:
        boxes_xyxy: `(N, 4)`, float32, in pixels of the image that was given.
        scores: `(N,)`, float32, falling, in (0, 1].
        classes: `(N,)`, numbers of classes.
        class_names: K names, or none.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    class_names: Sequence[str]

    @property
    def names(self) -> list[str]:
        """The class name of each of the N boxes."""
        return [self.class_names[number] if self.class_names else str(number) for number in self.classes]

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, an entry for each box."""
        rows = zip(self.names, self.scores.tolist(), self.boxes_xyxy.tolist(), strict=True)
        return {
            "objects": [
                {"class_name": name, "score": _round(score), "box_xyxy": [_round(x) for x in box]}
                for name, score, box in rows
            ]
        }


Result = Classified | Segmented | Detected


def _round(number: float) -> float:
    return round(float(number), _DIGITS)
