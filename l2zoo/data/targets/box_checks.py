"""What boxes must be like before anything trains on them; each error says the next step."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from l2zoo.data.targets import labels

OVERSHOOT = 1.0
"""Pixels by which rounding may put a side outside its image."""

_FORMAT = "(left, top, right, bottom)"


def check(y: Any, size: tuple[int, int], num_classes: int | None) -> None:
    """Raises a `ValueError` unless padded boxes and labels fit images of a size.

    Args:
        y: A dict of `boxes_xyxy` `(N, M, 4)` and `labels` `(N, M)`; -1 is a row without an object.
        size: `(H, W)` of all images, in pixels.
        num_classes: K; `None` leaves the upper end open.
    """
    boxes, numbers = map(np.asarray, parts(y))
    _check_shapes(boxes, numbers)
    there = numbers != -1
    labels.check_values(np.where(there, numbers, 0), num_classes, "labels")
    _check_padding(boxes, there)

    def name(position: int) -> str:
        image, row = np.argwhere(there)[position]
        return f"boxes_xyxy[{image}, {row}]"

    check_boxes(boxes[there], np.broadcast_to(size, (int(there.sum()), 2)), name)


def parts(y: Any) -> tuple[Any, Any]:
    """The boxes and the labels of a dict that has both.

    Raises:
        ValueError: It is no such dict.
    """
    if not isinstance(y, dict) or set(y) != {"boxes_xyxy", "labels"}:
        got = f"the keys {', '.join(map(str, y))}" if isinstance(y, dict) else type(y).__name__
        raise ValueError(
            f"`y` must be a dict of 'boxes_xyxy' and 'labels' for task='detection', got {got or 'no keys'}."
        )
    return y["boxes_xyxy"], y["labels"]


def _check_shapes(boxes: np.ndarray, numbers: np.ndarray) -> None:
    if numbers.ndim != 2 or boxes.shape != (*numbers.shape, 4) or not numbers.shape[1]:
        raise ValueError(
            "`boxes_xyxy` must have shape (N, M, 4) and `labels` (N, M), M at least 1, got shapes "
            f"{boxes.shape} and {numbers.shape}."
        )
    if not np.issubdtype(boxes.dtype, np.number):
        raise TypeError(f"Boxes must be numbers, got dtype={boxes.dtype}.")


def _check_padding(boxes: np.ndarray, there: np.ndarray) -> None:
    odd = ~there & (boxes != 0).any(axis=-1)
    if odd.any():
        image, row = np.argwhere(odd)[0]
        raise ValueError(
            f"Rows with the label -1 must hold zeros, got boxes_xyxy[{image}, {row}]="
            f"{_words(boxes[image, row])}: give the box a class, or leave it out."
        )
    if (there[:, 1:] > there[:, :-1]).any():
        image = int((there[:, 1:] > there[:, :-1]).any(axis=1).argmax())
        raise ValueError(
            f"Rows with the label -1 must come last, but labels[{image}] has one before an object."
        )


def check_boxes(boxes: np.ndarray, sizes: np.ndarray, name: Callable[[int], str]) -> None:
    """Raises a `ValueError` unless boxes are finite, inside their images, and have an area there.

    Args:
        boxes: `(T, 4)`.
        sizes: `(T, 2)`: height and width of the image of each, in pixels.
        name: What to call the box at a position.
    """
    ends = sizes[:, [1, 0, 1, 0]]
    outside = (boxes < -OVERSHOOT) | (boxes > ends + OVERSHOOT)
    inside = clipped(boxes, sizes)
    faults = (
        (~np.isfinite(boxes).all(axis=1), "be finite", "drop or repair it"),
        (
            outside.any(axis=1),
            "lie inside their image",
            f"see whether it is {_FORMAT} in pixels of the image",
        ),
        (
            (inside[:, 2:] <= inside[:, :2]).any(axis=1),
            f"be {_FORMAT} with an area",
            "drop it, or see whether the format is (left, top, width, height)",
        ),
    )
    for wrong, wanted, step in faults:
        if wrong.any():
            first = int(wrong.argmax())
            raise ValueError(
                f"Boxes must {wanted}, got {name(first)}={_words(boxes[first])} in an image of "
                f"{sizes[first][0]}x{sizes[first][1]} (height x width): {step}."
            )
    if len(boxes) and boxes.max() <= 1 < sizes.min():
        _warn(f"Boxes look like shares of the image's sides (they end at {boxes.max():g}), but pixels are "
              "expected: multiply them by its width and height.")  # fmt: skip


def clipped(boxes: np.ndarray, sizes: Any) -> np.ndarray:
    """Boxes `(..., 4)` cut off at the edge of their images, whose `(H, W)` are `(..., 2)`; float32."""
    ends = np.asarray(sizes)[..., [1, 0, 1, 0]]
    return np.clip(boxes, 0, ends).astype(np.float32)


def _words(box: np.ndarray) -> str:
    return str([round(float(side), 3) for side in box])


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)
