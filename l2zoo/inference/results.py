"""What a predictor says of an image, in numbers and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.utils.console import printable
from l2zoo.utils.validation import first_names

_DIGITS = 6  # of a float32 that mean something
SHOWN = 5  # things that a result prints
MIN_SCORE = 0.3  # of a box that is said to be there


@dataclass(frozen=True, eq=False, repr=False)  # arrays are not equal or unequal as a whole
class Result:
    """What all results have.

    Args:
        path: The image's file, if it was read from one.
    """

    path: Path | None = field(default=None, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        raise NotImplementedError

    @property
    def _gist(self) -> str:
        """What is said, in a few words."""
        raise NotImplementedError

    def __repr__(self) -> str:
        place = "" if self.path is None else f", path={str(self.path)!r}"
        return printable(f"{type(self).__name__}({self._gist}{place})")


@dataclass(frozen=True, eq=False, repr=False)
class Classified(Result):
    """What is in an image, one of several classes.

    Args:
        probabilities: `(K,)`, float32, that add up to 1.
        class_names: K names.
        threshold: Of two classes, the probability from which on it is the second; if None, the likeliest is
            it.
    """

    probabilities: np.ndarray
    class_names: Sequence[str]
    threshold: float | None = None

    @property
    def class_number(self) -> int:
        """The place of what is said among the classes."""
        if self.threshold is not None:
            return int(self.probabilities[1] >= self.threshold)
        return int(self.probabilities.argmax())

    @property
    def class_name(self) -> str:
        """What is said: the likeliest class, or that which the threshold decides for."""
        return self.class_names[self.class_number]

    @property
    def probability(self) -> float:
        """That of the class that is said."""
        return float(self.probabilities[self.class_number])

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes with their probabilities, falling.

        Example:
            >>> Classified(np.array([0.25, 0.75], np.float32), ["cat", "dog"]).top(1)
            [('dog', 0.75)]
        """
        best = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.class_names[index], float(self.probabilities[index])) for index in best]

    @property
    def _gist(self) -> str:
        return _in_words(self.top(3))

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON; all classes, the likeliest first."""
        every = [{"name": name, "probability": _round(p)} for name, p in self.top(len(self.class_names))]
        return {"class_name": self.class_name, "probability": _round(self.probability), "classes": every}


@dataclass(frozen=True, eq=False, repr=False)
class Labelled(Result):
    """What is in an image, any number of classes, each on its own.

    Args:
        probabilities: `(K,)`, float32, each in [0, 1].
        class_names: K names.
        thresholds: `(K,)`, the probabilities from which on classes are said to be there.
    """

    probabilities: np.ndarray
    class_names: Sequence[str]
    thresholds: np.ndarray

    @property
    def labels(self) -> list[str]:
        """The classes that are there, in their order."""
        there = self.probabilities >= self.thresholds
        return [name for name, one in zip(self.class_names, there, strict=True) if one]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes with their probabilities, falling."""
        return Classified(self.probabilities, self.class_names).top(k)

    @property
    def _gist(self) -> str:
        there = [pair for pair in self.top(len(self.class_names)) if pair[0] in self.labels]
        return _in_words(there) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON; all classes, the likeliest first."""
        every = [{"name": name, "probability": _round(p)} for name, p in self.top(len(self.class_names))]
        return {"labels": self.labels, "classes": every}


@dataclass(frozen=True, eq=False, repr=False)
class Estimated(Result):
    """The values that a model gives for an image.

    Args:
        values: `(V,)`, or `(h, w, V)` of each pixel that the model sees, float32, as the model gives them.
    """

    values: np.ndarray

    @property
    def _gist(self) -> str:
        one_image = self.values.ndim == 1 and len(self.values) <= SHOWN
        return ", ".join(f"{value:.4g}" for value in self.values) if one_image else f"{self.values.shape}"

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, as lists."""
        return {"values": np.round(self.values.astype(np.float64), _DIGITS).tolist()}


@dataclass(frozen=True, eq=False, repr=False)
class Segmented(Result):
    """Which class every pixel of an image belongs to.

    Args:
        mask: `(H, W)` of the image that was given, numbers of classes; 255 where an artifact that crops did
            not look (-1, if there are more than 255 classes).
        class_names: K names.
    """

    mask: np.ndarray
    class_names: Sequence[str]

    @property
    def shares(self) -> dict[str, float]:
        """The share in [0, 1] of the pixels of each class that has any."""
        counts = np.bincount(self.mask[self.mask >= 0], minlength=len(self.class_names))
        pairs = zip(
            self.class_names, counts.tolist(), strict=False
        )  # what nobody looked at comes behind them
        return {name: count / self.mask.size for name, count in pairs if count}

    @property
    def _gist(self) -> str:
        return _in_words(sorted(self.shares.items(), key=lambda pair: -pair[1])) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, the mask as lists of rows."""
        shares = {name: _round(share) for name, share in self.shares.items()}
        return {"class_names": list(self.class_names), "shares": shares, "mask": self.mask.tolist()}


@dataclass(frozen=True, eq=False, repr=False)
class OverlappingMasks(Result):
    """Where in an image each class is, each on its own: a pixel may be of several, or of none.

    Args:
        masks: `(H, W, K)` of the image that was given, bool.
        class_names: K names.
    """

    masks: np.ndarray
    class_names: Sequence[str]

    @property
    def shares(self) -> dict[str, float]:
        """The share in [0, 1] of the pixels of each class that has any."""
        found = zip(self.class_names, self.masks.mean(axis=(0, 1)).tolist(), strict=True)
        return {name: share for name, share in found if share}

    @property
    def _gist(self) -> str:
        return _in_words(sorted(self.shares.items(), key=lambda pair: -pair[1])) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, for each class its mask as lists of rows of 0 and 1."""
        layers = self.masks.astype(np.uint8).transpose(2, 0, 1).tolist()
        shares = {name: _round(share) for name, share in self.shares.items()}
        return {"shares": shares, "masks": dict(zip(self.class_names, layers, strict=True))}


@dataclass(frozen=True, eq=False, repr=False)
class Detected(Result):
    """What is where in an image, the surest first.

    Args:
        boxes_xyxy: `(N, 4)`, float32, in pixels of the image that was given.
        scores: `(N,)`, float32, falling, in (0, 1].
        classes: `(N,)`, numbers of classes.
        class_names: K names, or none.
        min_score: Boxes with less were left out.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    class_names: Sequence[str]
    min_score: float = 0.0

    @property
    def names(self) -> list[str]:
        """The class name of each of the N boxes."""
        return [self.class_names[number] if self.class_names else str(number) for number in self.classes]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The class names of the `k` surest boxes with their scores, falling."""
        return list(zip(self.names, self.scores.tolist(), strict=True))[:k]

    @property
    def _gist(self) -> str:
        return _in_words(self.top(len(self.names))) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, an entry for each box."""
        rows = zip(self.names, self.scores.tolist(), self.boxes_xyxy.tolist(), strict=True)
        return {
            "objects": [
                {"class_name": name, "score": _round(score), "box_xyxy": [_round(x) for x in box]}
                for name, score, box in rows
            ]
        }


def _in_words(pairs: Sequence[tuple[str, float]]) -> str:
    """`'cat' 0.75, 'dog' 0.25 and 3 more`."""
    return first_names([f"{name!r} {number:.2f}" for name, number in pairs], SHOWN)


def _round(number: float) -> float:
    return round(float(number), _DIGITS)
