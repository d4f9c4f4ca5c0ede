"""What is drawn into a panel: lines of text that fit, masks that can be read without colours, and boxes.

Where a line is too long, only the name in it is shortened. In a mask, class 0 is black. The others have Okabe
and Ito's colours, which colour-blind people can tell apart, and patterns, which need no colour: 7 times 5, so
that 36 classes differ. The first two that share a pattern, 1 and 6, differ in brightness. What is not
labelled has a grey and a pattern of its own. Boxes are seen on light pixels and on dark ones.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.reports.plot_style import INK, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAPTION, TINY = 8.0, 6.5  # points: of what stands above an image, and beside a box
POINTS = 72  # in an inch

BLACK, GREY = "#000000", "#808080"
COLOURS = ("#56b4e9", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#d55e00", "#f0e442")
PATTERNS = 5  # plain, slashes, backslashes, lines, dots
FINE, REPEATS = 480, 20  # pixels along a painted mask, and how often the pattern repeats there

LIGHT = "#ffb000"  # of boxes found: seen on dark pixels by itself, on light ones by its dark edge
LOOKS: dict[str, dict[str, Any]] = {
    "truth": {"edgecolor": "white", "linewidth": 1.1, "linestyle": (0, (4, 3))},
    "found": {"edgecolor": LIGHT, "linewidth": 1.8, "linestyle": "solid"},
}


@dataclass(frozen=True)
class Line:
    """Text in a picture, of which only the name is shortened where it does not fit."""

    before: str
    name: str = ""
    after: str = ""
    bold: bool = False

    def __str__(self) -> str:
        return self.before + self.name + self.after


def fit_text(line: Line, points: float, size: float = CAPTION) -> str:
    """The text of a line, its name shortened until the line is narrower than so many points.

    Example:
        >>> fit_text(Line("said: ", "a very long name", " 80%"), 80)
        'said: a very… 80%'
    """
    if not line.name or text_width(str(line), size, bold=line.bold) <= points - 1:
        return str(line)

    def shorten(kept: int) -> str:
        return f"{line.before}{line.name[:kept].rstrip()}…{line.after}"

    def width_of(kept: int) -> float:
        return text_width(shorten(kept), size, bold=line.bold)

    return shorten(max(bisect(range(len(line.name)), points - 1, key=width_of) - 1, 0))


def text_width(text: str, size: float = CAPTION, *, bold: bool = False) -> float:
    """The width of a text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=STYLE["font.family"], size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, False)[0]


def paint_mask(mask: np.ndarray, *, repeats: int = REPEATS) -> np.ndarray:
    """Classes as enlarged colours and patterns.

    Args:
        mask: Classes `(H, W)`, -1 for a pixel that is not labelled.
        repeats: How often the pattern repeats along the longer side.

    Returns:
        Pixels `(f * H, f * W, 3)`, uint8, where the whole number f makes the longer side `FINE` or more.

    References:
        Okabe and Ito 2008, Color Universal Design.

    Example:
        >>> import numpy as np
        >>> paint_mask(np.zeros((2, 3), int)).shape
        (320, 480, 3)
    """
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(colour) for colour in (*COLOURS, BLACK, GREY)])
    light = colours @ [0.299, 0.587, 0.114] > 0.45
    marks = 0.45 * colours + np.where(light, 0, 0.55)[:, None]
    table = np.rint(255 * np.stack([colours, marks])).astype(np.uint8)  # (2, colours, 3)
    factor = math.ceil(FINE / max(mask.shape))
    mask = mask.repeat(factor, axis=0).repeat(factor, axis=1)
    chosen = np.where(mask > 0, (mask - 1) % len(COLOURS), len(COLOURS) - mask)
    return table[_has_mark(mask, round(max(mask.shape) / repeats)).astype(np.intp), chosen]


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
    under = withStroke(linewidth=line["linewidth"] + 1.4, foreground=INK, dashes=unbroken)
    for left, top, right, bottom in boxes_xyxy:
        size = right - left, bottom - top
        axes.add_patch(Rectangle((left, top), *size, fill=False, gid=look, path_effects=[under], **line))


def draw_answers(
    axes: Axes,
    boxes_xyxy: Sequence[np.ndarray],
    answers: Sequence[Line],
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
        answer = fit_text(line, 0.6 * points, TINY)
        size = (text_width(answer, TINY) + 4) / pixel, 1.5 * TINY / pixel
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


def _has_mark(mask: np.ndarray, period: int) -> np.ndarray:
    """Where the pattern of a pixel's class has a mark, `(H, W)`, bool."""
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    plain = np.zeros(mask.shape, bool)
    slash, backslash, line = ((plain + place) % period < period // 4 for place in (x + y, x - y, y))
    dot = (x % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < (0.28 * period) ** 2
    pattern = np.choose((mask - 1) % PATTERNS, [plain, slash, backslash, line, dot])
    return np.choose(np.sign(mask) + 1, [slash | backslash, plain, pattern])
