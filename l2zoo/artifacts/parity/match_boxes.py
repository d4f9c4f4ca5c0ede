"""Boxes of a detector in the order of another's answer, so that the two can be compared number by number.

Boxes are sorted by score. Two that the model likes equally well may come out in either order, and rounding
decides in which: that is no difference between two detectors.
"""

from __future__ import annotations

import numpy as np

from l2zoo.artifacts.sample import Outputs
from l2zoo.artifacts.task_spec import DETECTIONS


def matched(wanted: Outputs, answered: Outputs) -> Outputs:
    """`answered` with the boxes of each image in the order of those of `wanted` that they are most like.

    Args:
        wanted: `boxes_xyxy` `(B, N, 4)`, `scores` `(B, N)` and `classes` `(B, N)`; others stay.
        answered: Likewise.

    Example:
        >>> one = {"boxes_xyxy": np.array([[[0, 0, 2, 2], [4, 4, 6, 6]]]), "scores": np.array([[0.5, 0.5]]),
        ...        "classes": np.array([[1, 2]])}
        >>> other = {name: part[:, ::-1] for name, part in one.items()}
        >>> matched(one, other)["classes"].tolist()
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
    from scipy.optimize import linear_sum_assignment

    distances = np.abs(wanted[:, None] - answered[None]).sum(axis=-1)
    return linear_sum_assignment(distances)[1]
