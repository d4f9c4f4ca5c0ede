"""Boxes and the places of a detector: which place should see which box, and what a place's answer means.

All of it in NumPy, on one image. Boxes are `xyxy`: left, top, right, bottom, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2zoo.utils.validation import whole_numbers

NOTHING = -1  # the class of a place that sees no object
RADIUS = 1.5  # a box is seen by places within so many strides of its centre
REACH = 4.0  # a level's places reach so many strides far; the next level takes over from there


@dataclass(frozen=True)
class Targets:
    """What every place should answer.

    Attributes:
        classes: `(N,)`, int64: the label, or `NOTHING`.
        sides: `(N, 4)`, float32: distances in pixels to the left, top, right and bottom side; 0 for nothing.
        centerness: `(N,)`, float32 in [0, 1]: 1 in the centre of the box, 0 at its edge and for nothing.
    """

    classes: np.ndarray
    sides: np.ndarray
    centerness: np.ndarray


def places(height: int, width: int, *, strides: Sequence[int]) -> np.ndarray:
    """The places of a detector's levels, in the order of its outputs.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        strides: Those of the levels.

    Returns:
        `(N, 3)`, float32: x and y of the pixel that a place looks at, and its stride.

    Example:
        >>> places(8, 8, strides=(4,)).tolist()
        [[2.0, 2.0, 4.0], [6.0, 2.0, 4.0], [2.0, 6.0, 4.0], [6.0, 6.0, 4.0]]
    """
    levels = []
    for stride in whole_numbers("strides", strides, at_least=1):
        y, x = (stride * (np.arange(side // stride) + 0.5) for side in (height, width))
        grid = np.stack(np.broadcast_arrays(x[None, :], y[:, None], float(stride)), axis=-1)
        levels.append(grid.reshape(-1, 3))
    return np.concatenate(levels).astype(np.float32)


def place_targets(boxes_xyxy: np.ndarray, labels: np.ndarray, where: np.ndarray) -> Targets:
    """What the places of a detector should answer for an image.

    A place sees a box if it lies within `RADIUS` strides of the box's centre and inside the box, and if the
    farthest side is as far as its level reaches: up to `REACH` strides, and for all levels but the first no
    less than the level before it. Of several boxes it sees the smallest.

    Args:
        boxes_xyxy: `(M, 4)`; M may be 0.
        labels: `(M,)`.
        where: What `places` gives, `(N, 3)`.

    Returns:
        `N` answers.

    Raises:
        ValueError: Boxes and labels differ in number, or a box has no area.

    References:
        Tian, Shen, Chen, He 2019, FCOS, section 3.2, with the centre sampling of their later code.
    """
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    labels = np.asarray(labels, np.int64).reshape(-1)
    _check_boxes(boxes, labels)
    classes = np.full(len(where), NOTHING)
    sides = np.zeros((len(where), 4), np.float32)
    if len(boxes):
        distances = _distances(where, boxes)  # (N, M, 4)
        seen = _near(where, boxes) & (distances.min(axis=2) > 0) & _in_reach(where, distances.max(axis=2))
        areas = np.where(seen, area(boxes)[None], np.inf)
        chosen = areas.argmin(axis=1)
        rows = np.flatnonzero(seen.any(axis=1))
        classes[rows] = labels[chosen[rows]]
        sides[rows] = distances[rows, chosen[rows]]
    return Targets(classes, sides, centerness(sides))


def centerness(sides: np.ndarray) -> np.ndarray:
    """`sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))`, 0 where a distance is 0.

    Example:
        >>> centerness(np.array([[2.0, 3.0, 2.0, 3.0], [1.0, 3.0, 4.0, 3.0]])).tolist()
        [1.0, 0.5]
    """
    opposite = np.asarray(sides).reshape(-1, 2, 2)  # (l, t), (r, b)
    least, most = opposite.min(axis=1), opposite.max(axis=1)
    return np.sqrt(np.prod(np.divide(least, most, out=np.zeros_like(least), where=most > 0), axis=1))


def area(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Width times height, `(...,)`, 0 for boxes that are turned inside out."""
    return np.prod(np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0), axis=-1)


def _check_boxes(boxes_xyxy: np.ndarray, labels: np.ndarray) -> None:
    """Raises a `ValueError` if boxes and labels do not belong together or a box has no area."""
    if len(boxes_xyxy) != len(labels):
        raise ValueError(f"`labels` must be one for each of {len(boxes_xyxy)} boxes, got {len(labels)}.")
    empty = np.flatnonzero(~(area(boxes_xyxy) > 0))
    if len(empty):
        box = [float(side) for side in boxes_xyxy[empty[0]]]
        raise ValueError(
            f"`boxes_xyxy` must be (left, top, right, bottom) with an area; box {empty[0]} is {box}. "
            "Drop it, or see whether the format is (x, y, width, height)."
        )


def _distances(where: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """`(N, M, 4)`: from every place to the sides of every box, negative outside."""
    xy = where[:, None, :2]
    return np.concatenate([xy - boxes[None, :, :2], boxes[None, :, 2:] - xy], axis=2)


def _near(where: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """`(N, M)`: whether a place is within `RADIUS` strides of a box's centre."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.abs(where[:, None, :2] - centres[None]).max(axis=2) <= RADIUS * where[:, None, 2]


def _in_reach(where: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """`(N, M)`: whether a side so far away belongs to a place's level."""
    strides = np.unique(where[:, 2])
    least = np.where(where[:, 2] == strides[0], 0, REACH * where[:, 2] / 2)
    most = np.where(where[:, 2] == strides[-1], np.inf, REACH * where[:, 2])
    return (farthest > least[:, None]) & (farthest <= most[:, None])
