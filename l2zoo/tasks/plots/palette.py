"""Colours and patterns of classes, for masks that can be read without telling colours apart.

Class 0 is black. The others have Okabe and Ito's colours, which colour-blind people can tell apart, and
patterns, which need no colour: 7 times 5, so that 36 classes differ. The first two that share a pattern, 1
and 6, differ in brightness. What is not labelled has a grey and a pattern of its own.
"""

from __future__ import annotations

import math

import numpy as np

BLACK, GREY = "#000000", "#808080"
COLOURS = ("#56b4e9", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#d55e00", "#f0e442")
PATTERNS = 5  # plain, slashes, backslashes, lines, dots
FINE, REPEATS = 480, 20  # pixels along a painted mask, and how often the pattern repeats there


def painted(mask: np.ndarray, *, repeats: int = REPEATS) -> np.ndarray:
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
        >>> painted(np.zeros((2, 3), int)).shape
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
    return table[_marked(mask, round(max(mask.shape) / repeats)).astype(np.intp), chosen]


def _marked(mask: np.ndarray, period: int) -> np.ndarray:
    """Where the pattern of a pixel's class has a mark, `(H, W)`, bool."""
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    plain = np.zeros(mask.shape, bool)
    slash, backslash, line = ((plain + place) % period < period // 4 for place in (x + y, x - y, y))
    dot = (x % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < (0.28 * period) ** 2
    pattern = np.choose((mask - 1) % PATTERNS, [plain, slash, backslash, line, dot])
    return np.choose(np.sign(mask) + 1, [slash | backslash, plain, pattern])
