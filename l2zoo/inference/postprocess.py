"""From the numbers that a file gives for a batch to what is said of each image, in its own coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from l2zoo.inference.results import Classified, Detected, Labelled, OverlappingMasks, Result, Segmented
from l2zoo.tasks.output_kind import OutputKind

Size = tuple[int, int]


def decode_classes(answers: np.ndarray, names: Sequence[str], kind: OutputKind) -> list[Result]:
    """The answers `(B, K)` of a classifier."""
    probabilities = kind.probabilities(answers)
    if not kind.is_exclusive:
        thresholds = np.broadcast_to(kind.threshold, len(names))
        return [Labelled(one, names, thresholds) for one in probabilities]
    threshold: Any = kind.threshold if kind.is_binary else None
    return [Classified(one, names, threshold) for one in probabilities]


def decode_masks(
    answers: np.ndarray, sizes: Sequence[Size], names: Sequence[str], kind: OutputKind
) -> list[Result]:
    """The answers `(B, H, W, K)` of a segmenter as masks of the images' own sizes."""
    said = kind.decide(answers)
    if not kind.is_exclusive:
        return [
            OverlappingMasks(resize_mask(mask, own), names) for mask, own in zip(said, sizes, strict=True)
        ]
    masks = said.astype(np.uint8 if len(names) <= 256 else np.int32)
    return [Segmented(resize_mask(mask, own), names) for mask, own in zip(masks, sizes, strict=True)]


def decode_boxes(
    outputs: dict[str, np.ndarray],
    sizes: Sequence[Size],
    names: Sequence[str],
    *,
    size: Size,
    min_score: float,
) -> list[Result]:
    """The final boxes of a detector, those that are there, in pixels of the images.

    Args:
        outputs: `boxes_xyxy` `(B, N, 4)`, `scores` `(B, N)` and `classes` `(B, N)`.
        sizes: `(h, w)` of each image that was given.
        names: Of the classes; if there are none, they are called by their numbers.
        size: `(H, W)` of what the model saw.
        min_score: Boxes with less are not there.
    """
    found: list[Result] = []
    parts = zip(outputs["boxes_xyxy"], outputs["scores"], outputs["classes"], sizes, strict=True)
    for boxes, scores, classes, (height, width) in parts:
        there = (scores > 0) & (scores >= min_score)
        scale = np.array([width / size[1], height / size[0]] * 2, np.float32)
        numbers = np.rint(classes[there]).astype(np.int64)
        if names and numbers.size and (numbers.min() < 0 or numbers.max() >= len(names)):
            raise ValueError(
                f"The model finds class {numbers.max()}, the artifact names {len(names)} classes. Export it "
                "with all names: Card(class_names=...)."
            )
        found.append(Detected(boxes[there] * scale, scores[there], numbers, names, min_score))
    return found


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask `(h, w, ...)` as `(H, W, ...)`, each pixel that of the one below its middle.

    Example:
        >>> resize_mask(np.array([[0, 1]]), (1, 4)).tolist()
        [[0, 0, 1, 1]]
    """
    if mask.shape[:2] == size:
        return mask
    rows, columns = (
        ((2 * np.arange(many) + 1) * had) // (2 * many)
        for many, had in zip(size, mask.shape[:2], strict=True)
    )
    return mask[np.ix_(rows, columns)]
