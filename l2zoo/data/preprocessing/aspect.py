"""How an image of another aspect than is wanted is brought to it: stretched, cropped or padded.

As in `keras.utils.image_dataset_from_directory(crop_to_aspect_ratio=, pad_to_aspect_ratio=)`: the largest
part in the middle that has the aspect, or the image in the middle of black that gives it, is resized. NumPy
alone is needed, so that training and inference do the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ASPECTS = ("stretch", "crop", "pad")

Size = tuple[int, int]
"""`(H, W)`."""


class Frame(NamedTuple):
    """The part of an image that is resized, in its pixels; it may reach beyond the image.

    Attributes:
        top: Its first row, below 0 where it begins above the image.
        left: Its first column, likewise.
        height: Its rows.
        width: Its columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def size(self) -> Size:
        return self.height, self.width

    def cut(self, image: np.ndarray, *, fill: int = 0) -> np.ndarray:
        """The part `(height, width, ...)` of an image `(h, w, ...)`, with a value where there is no image."""
        top, left = max(self.top, 0), max(self.left, 0)
        inside = image[top : self.top + self.height, left : self.left + self.width]
        if inside.shape[:2] == self.size:
            return inside
        whole = np.full((*self.size, *image.shape[2:]), fill, image.dtype)
        rows = slice(top - self.top, top - self.top + inside.shape[0])
        columns = slice(left - self.left, left - self.left + inside.shape[1])
        whole[rows, columns] = inside
        return whole

    def paste(self, part: np.ndarray, size: Size, *, fill: int = 0) -> np.ndarray:
        """The way back: the part as an image `(h, w, ...)`, with a value where it was not looked at."""
        return Frame(-self.top, -self.left, *size).cut(part, fill=fill)


def frame_of(before: Size, after: Size, aspect: str) -> Frame:
    """What of an image of one size becomes an image of another.

    Example:
        >>> frame_of((60, 100), (32, 32), "crop"), frame_of((60, 100), (32, 32), "pad")
        (Frame(top=0, left=20, height=60, width=60), Frame(top=-20, left=0, height=100, width=100))
    """
    (height, width), (rows, columns) = before, after
    if aspect == "stretch":
        return Frame(0, 0, height, width)
    fitting = width * rows // columns, height * columns // rows
    if aspect == "crop":
        size = max(min(height, fitting[0]), 1), max(min(width, fitting[1]), 1)
        return Frame((height - size[0]) // 2, (width - size[1]) // 2, *size)
    above, beside = max(fitting[0] - height, 0) // 2, max(fitting[1] - width, 0) // 2  # and as much beyond
    return Frame(-above, -beside, height + 2 * above, width + 2 * beside)
