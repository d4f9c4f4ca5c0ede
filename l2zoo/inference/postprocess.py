"""From the numbers that a file gives for a batch to what is said of each image, in its own coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from l2zoo.data.preprocessing.aspect import Frame, frame_of
from l2zoo.data.preprocessing.resizing import resize_mask
from l2zoo.data.targets.masks import UNLABELLED
from l2zoo.inference.results import Classified, Detected, Labelled, OverlappingMasks, Result, Segmented
from l2zoo.tasks.output_kind import OutputKind

Size = tuple[int, int]


class View(NamedTuple):
    """What a model saw of an image.

    Attributes:
        given: `(h, w)` of the image.
        seen: `(H, W)` of what the model takes.
        frame: The part of the image that was resized to it.
    """

    given: Size
    seen: Size
    frame: Frame

    @classmethod
    def of(cls, given: Size, seen: Size, aspect: str) -> View:
        """How a model sees an image; `aspect` is one of `l2zoo.data.preprocessing.aspect.ASPECTS`."""
        return cls(given, seen, frame_of(given, seen, aspect))

    def mask(self, mask: np.ndarray, *, fill: int) -> np.ndarray:
        """A mask `(H, W, ...)` as that of the image, with a value where the image was cropped."""
        return self.frame.paste(resize_mask(mask, self.frame.size), self.given, fill=fill)

    def boxes(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Boxes `(N, 4)` as those of the image, float32."""
        scale = np.divide(self.frame.size, self.seen)[[1, 0, 1, 0]].astype(np.float32)
        placed = boxes_xyxy * scale + np.array([self.frame.left, self.frame.top] * 2, np.float32)
        if self.frame.size == self.given:
            return placed
        return np.clip(placed, 0, np.array([*self.given[::-1]] * 2, np.float32))


def decode_classes(answers: np.ndarray, names: Sequence[str], kind: OutputKind) -> list[Result]:
    """The answers `(B, K)` of a classifier."""
    probabilities = kind.probabilities(answers)
    if not kind.is_exclusive:
        thresholds = np.broadcast_to(kind.threshold, len(names))
        return [Labelled(one, names, thresholds) for one in probabilities]
    threshold: Any = kind.threshold if kind.is_binary else None
    return [Classified(one, names, threshold) for one in probabilities]


def decode_masks(
    answers: np.ndarray, views: Sequence[View], names: Sequence[str], kind: OutputKind
) -> list[Result]:
    """The answers `(B, H, W, K)` of a segmenter as masks of the images' own sizes."""
    said = kind.decide(answers)
    if not kind.is_exclusive:
        return [
            OverlappingMasks(view.mask(mask, fill=0), names) for mask, view in zip(said, views, strict=True)
        ]
    masks, unseen = (
        (said.astype(np.uint8), UNLABELLED) if len(names) <= UNLABELLED else (said.astype(np.int32), -1)
    )
    return [Segmented(view.mask(mask, fill=unseen), names) for mask, view in zip(masks, views, strict=True)]


def decode_boxes(
    outputs: dict[str, np.ndarray], views: Sequence[View], names: Sequence[str], *, min_score: float
) -> list[Result]:
    """The final boxes of a detector, those that are there, in pixels of the images.

    Args:
        outputs: `boxes_xyxy` `(B, N, 4)`, `scores` `(B, N)` and `classes` `(B, N)`.
        views: What the model saw of each image.
        names: Of the classes; if there are none, they are called by their numbers.
        min_score: Boxes with less are not there.
    """
    found: list[Result] = []
    parts = zip(outputs["boxes_xyxy"], outputs["scores"], outputs["classes"], views, strict=True)
    for boxes, scores, classes, view in parts:
        there = (scores > 0) & (scores >= min_score)
        numbers = np.rint(classes[there]).astype(np.int64)
        if names and numbers.size and (numbers.min() < 0 or numbers.max() >= len(names)):
            raise ValueError(
                f"The model finds class {numbers.max()}, the artifact names {len(names)} classes. Export it "
                "with all names: Card(class_names=...)."
            )
        found.append(Detected(view.boxes(boxes[there]), scores[there], numbers, names, min_score))
    return found
