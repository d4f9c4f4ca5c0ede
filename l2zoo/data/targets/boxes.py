"""The targets of detection: `boxes_xyxy` `(N, M, 4)`, float32 in pixels, and their `labels` `(N, M)`, int64.

Every image has M rows, as many as the image with the most objects needs: rows without an object come last and
hold zeros and the label -1.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from l2zoo.data.preprocessing.aspect import frame_of
from l2zoo.data.targets.labels import check_values
from l2zoo.utils.caller import outside

NOTHING = -1

OVERSHOOT = 1.0
"""Pixels by which rounding may put a side outside its image."""

_FORMAT = "(left, top, right, bottom)"


@dataclasses.dataclass(frozen=True)
class Boxes:
    """What boxes have in common, wherever they are kept.

    Attributes:
        class_names: K names.
        most: M, at least 1.
    """

    class_names: tuple[str, ...] = dataclasses.field(repr=False)
    most: int
    task: ClassVar[str] = "detection"

    def guard(self, target: Any) -> Any:
        """The boxes, none of which may have the -1 of "unknown" for a label."""
        import tensorflow as tf

        boxes = target["boxes_xyxy"]
        there = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
        known = tf.reduce_all(there == (target["labels"] >= 0))
        with tf.control_dependencies([tf.debugging.Assert(known, ["A box has no label, or a label no box"])]):
            return {name: tf.identity(part) for name, part in target.items()}

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
        return {
            "boxes_xyxy": np.empty((num_examples, self.most, 4), np.float32),
            "labels": np.empty((num_examples, self.most), np.int64),
        }


def per_side(height_width: Any) -> Any:
    """A tensor `(H, W)` as `(W, H, W, H)`, for (left, top, right, bottom)."""
    import tensorflow as tf

    return tf.gather(height_width, [1, 0, 1, 0])


def move(
    boxes_xyxy: np.ndarray, labels: np.ndarray, before: tuple[int, int], after: tuple[int, int], aspect: str
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes `(..., M, 4)` and labels `(..., M)` where the part that `aspect` says is resized.

    They are cut off at its edge; those of which nothing is left become rows without an object.
    """
    frame = frame_of(before, after, aspect)
    moved = boxes_xyxy - np.array([frame.left, frame.top] * 2)
    placed = clip(scale(moved, frame.size, after), after)
    there = (labels != NOTHING) & (placed[..., 2:] > placed[..., :2]).all(axis=-1)
    order = np.argsort(~there, axis=-1, kind="stable")
    placed, labels = np.where(there[..., None], placed, 0), np.where(there, labels, NOTHING)
    return np.take_along_axis(placed, order[..., None], axis=-2), np.take_along_axis(labels, order, axis=-1)


def move_in_graph(stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
    """The same for a dict of the tensors of one image."""
    import tensorflow as tf

    def moved(boxes: np.ndarray, labels: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = move(boxes, labels, (int(before[0]), int(before[1])), after, aspect)
        return found[0].astype(np.float32), found[1].astype(np.int64)

    parts = stored["boxes_xyxy"], stored["labels"]
    found = tf.numpy_function(moved, [*parts, before], (tf.float32, tf.int64), stateful=False)
    return {
        "boxes_xyxy": tf.ensure_shape(found[0], parts[0].shape),
        "labels": tf.ensure_shape(found[1], parts[1].shape),
    }


def scale(boxes_xyxy: np.ndarray, before: tuple[int, int], after: tuple[int, int]) -> np.ndarray:
    """Boxes `(..., 4)` of images of the size `before` `(H, W)` in those of the size `after`; float32."""
    factor = np.divide(after, before)[[1, 0, 1, 0]]
    return (boxes_xyxy * factor).astype(np.float32)


def clip(boxes: np.ndarray, sizes: Any) -> np.ndarray:
    """Boxes `(..., 4)` cut off at the edge of their images, whose `(H, W)` are `(..., 2)`; float32."""
    ends = np.asarray(sizes)[..., [1, 0, 1, 0]]
    return np.clip(boxes, 0, ends).astype(np.float32)


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


def arrange(boxes_xyxy: Any, numbers: Any) -> dict[str, np.ndarray]:
    """Boxes and labels as padded arrays: arrays as they are, and lists of an array an image padded.

    Raises:
        ValueError: An image has another number of labels than of boxes, or its boxes are not `(n, 4)`.
    """
    if isinstance(boxes_xyxy, np.ndarray) and boxes_xyxy.dtype != object:
        return {"boxes_xyxy": boxes_xyxy, "labels": np.asarray(numbers)}
    if len(boxes_xyxy) != len(numbers):
        raise ValueError(
            "`boxes_xyxy` and `labels` must be lists with an array for every image, got lengths "
            f"{len(boxes_xyxy)} and {len(numbers)}."
        )
    return pad([np.asarray(some) for some in boxes_xyxy], [np.asarray(some) for some in numbers])


def pad(
    boxes_xyxy: Sequence[np.ndarray], numbers: Sequence[np.ndarray], *, most: int = 1
) -> dict[str, np.ndarray]:
    """Boxes `(n, 4)` and labels `(n,)` of each image as arrays of M rows an image: the largest n, or more."""
    most = max([most, *(some.size for some in numbers)])
    whole = np.zeros((len(numbers), most, 4), np.result_type(np.float32, *boxes_xyxy[:1]))
    kept = np.full(
        (len(numbers), most), NOTHING, np.result_type(np.int64, *(some for some in numbers if some.size))
    )
    for i, (some, theirs) in enumerate(zip(boxes_xyxy, numbers, strict=True)):
        if not theirs.size and not some.size:
            continue
        if some.shape != (theirs.size, 4) or theirs.ndim != 1:
            raise ValueError(
                "`boxes_xyxy` must have shape (n, 4) and `labels` (n,) for every image, got "
                f"{some.shape} and {theirs.shape} for image {i}."
            )
        whole[i, : theirs.size], kept[i, : theirs.size] = some, theirs
    return {"boxes_xyxy": whole, "labels": kept}


def check(y: Any, size: tuple[int, int], num_classes: int | None) -> None:
    """Raises a `ValueError` unless padded boxes and labels fit images of a size.

    Args:
        y: A dict of `boxes_xyxy` `(N, M, 4)` and `labels` `(N, M)`; -1 is a row without an object.
        size: `(H, W)` of all images, in pixels.
        num_classes: K; `None` leaves the upper end open.
    """
    boxes_xyxy, numbers = map(np.asarray, parts(y))
    _check_shapes(boxes_xyxy, numbers)
    there = numbers != -1
    check_values(np.where(there, numbers, 0), num_classes, "labels")
    _check_padding(boxes_xyxy, there)

    def name(position: int) -> str:
        image, row = np.argwhere(there)[position]
        return f"boxes_xyxy[{image}, {row}]"

    check_boxes(boxes_xyxy[there], np.broadcast_to(size, (int(there.sum()), 2)), name)


def check_boxes(boxes: np.ndarray, sizes: np.ndarray, name: Callable[[int], str]) -> None:
    """Raises a `ValueError` unless boxes are finite, inside their images, and have an area there.

    Args:
        boxes: `(T, 4)`.
        sizes: `(T, 2)`: height and width of the image of each, in pixels.
        name: What to call the box at a position.
    """
    ends = sizes[:, [1, 0, 1, 0]]
    outside = (boxes < -OVERSHOOT) | (boxes > ends + OVERSHOOT)
    inside = clip(boxes, sizes)
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


def _words(box: np.ndarray) -> str:
    return str([round(float(side), 3) for side in box])


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=outside())
