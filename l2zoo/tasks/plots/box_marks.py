"""Boxes in a panel: the true ones dashed, those found solid, with answers that avoid each other.

All of them are seen on light pixels and on dark ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.tasks.plots import lettering

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIGHT = "#ffb000"  # of boxes found: seen on dark pixels by itself, on light ones by its dark edge
TINY = 6.5  # points: of an answer
LOOKS: dict[str, dict[str, Any]] = {
    "truth": {"edgecolor": "white", "linewidth": 1.1, "linestyle": (0, (4, 3))},
    "found": {"edgecolor": LIGHT, "linewidth": 1.8, "linestyle": "solid"},
}


def draw_boxes(axes: Axes, boxes_xyxy: Sequence[np.ndarray], look: str) -> None:
    """Draws boxes as a light line, dashed for the truth, on an unbroken dark one.

    Args:
        axes: Where to; the pixel of column c fills `[c, c + 1]` of the x axis.
        boxes_xyxy: Boxes `(4,)`, in pixels.
        look: "truth" or "found", which becomes the id of each patch.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    line = LOOKS[look]
    unbroken = {"dash_offset": 0, "dash_list": None}
    under = withStroke(linewidth=line["linewidth"] + 1.4, foreground=lettering.INK, dashes=unbroken)
    for left, top, right, bottom in boxes_xyxy:
        size = right - left, bottom - top
        axes.add_patch(Rectangle((left, top), *size, fill=False, gid=look, path_effects=[under], **line))


def draw_answers(
    axes: Axes,
    boxes_xyxy: Sequence[np.ndarray],
    answers: Sequence[lettering.Line],
    *,
    shape: tuple[int, ...],
    points: float,
) -> None:
    """Writes an answer beside every box.

    Args:
        axes: Where to.
        boxes_xyxy: N boxes `(4,)`, in pixels.
        answers: N of them; those that come first choose their place first.
        shape: `(H, W)` of the image.
        points: How wide the image is shown.
    """
    pixel = points / shape[1]
    taken = np.zeros((0, 4))
    for box, line in zip(boxes_xyxy, answers, strict=True):
        answer = lettering.fitted(line, 0.6 * points, TINY)
        size = (lettering.width(answer, TINY) + 4) / pixel, 1.5 * TINY / pixel
        place = free_place(box, size, shape, taken)
        taken = np.concatenate([taken, place[None]])
        axes.text(
            place[[0, 2]].mean(),
            place[[1, 3]].mean(),
            answer,
            size=TINY,
            ha="center",
            va="center_baseline",
            parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )


def free_place(
    box: np.ndarray, size: tuple[float, float], shape: tuple[int, ...], taken: np.ndarray
) -> np.ndarray:
    """Where a text covers other texts least: above or below its box, in it, or somewhere beside.

    Args:
        box: `(4,)`, in pixels.
        size: Width and height of the text, in pixels.
        shape: `(H, W)` of the image, which the text does not leave.
        taken: `(N, 4)`, where the other texts are.

    Returns:
        The place, `(4,)`: left, top, right, bottom. Of places that are equally free, the first.

    Example:
        >>> import numpy as np
        >>> box, size, shape = np.array([2, 8, 14, 12]), (10, 4), (20, 30)
        >>> above = free_place(box, size, shape, np.zeros((0, 4)))
        >>> above.tolist()
        [2.0, 4.0, 12.0, 8.0]
        >>> free_place(box, size, shape, above[None]).tolist()
        [2.0, 12.0, 12.0, 16.0]
    """
    (wide, high), (height, width) = size, shape
    left, top, right, bottom = box
    wanted = [(x, y) for y in (top - high, bottom, top, bottom - high) for x in (left, right - wide)]
    wanted += [(x, y) for y in np.arange(0, height - high, high / 2) for x in (left, right, left - wide)]
    corners = np.clip(wanted, 0, [max(width - wide, 0), max(height - high, 0)])
    places = np.concatenate([corners, corners + np.array([wide, high])], axis=1)  # (places, 4)
    shared = np.minimum(places[:, None, 2:], taken[:, 2:]) - np.maximum(places[:, None, :2], taken[:, :2])
    return places[np.maximum(shared, 0).prod(axis=2).sum(axis=1).argmin()]
