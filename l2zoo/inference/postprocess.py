"""From the numbers that a file gives for a batch to what is said of each image, in its own coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l2zoo.inference.results import Classified, Detected, Result, Segmented

Size = tuple[int, int]


def decode_classes(
    outputs: dict[str, np.ndarray], sizes: Sequence[Size], names: Sequence[str], *, size: Size
) -> list[Result]:
    """The answers `(B, K)` of a classifier."""
    del sizes, size
    (answers,) = outputs.values()
    return [Classified(one, names) for one in answers]


def decode_masks(
    outputs: dict[str, np.ndarray], sizes: Sequence[Size], names: Sequence[str], *, size: Size
) -> list[Result]:
    """The answers `(B, H, W, K)` of a segmenter as masks of the images' own sizes."""
    del size
    (answers,) = outputs.values()
    kind = np.uint8 if len(names) <= 256 else np.int32
    masks = answers.argmax(axis=-1).astype(kind)
    return [Segmented(resize_mask(mask, own), names) for mask, own in zip(masks, sizes, strict=True)]


def decode_boxes(
    outputs: dict[str, np.ndarray], sizes: Sequence[Size], names: Sequence[str], *, size: Size
) -> list[Result]:
    """The final boxes of a detector, those that are there, in pixels of the images.

    Args:
        outputs: `boxes_xyxy` `(B, N, 4)`, `scores` `(B, N)` and `classes` `(B, N)`.
        sizes: `(h, w)` of each image that was given.
        names: Of the classes; if there are none, they are called by their numbers.
        size: `(H, W)` of what the model saw.
    """
    found: list[Result] = []
    parts = zip(outputs["boxes_xyxy"], outputs["scores"], outputs["classes"], sizes, strict=True)
    for boxes, scores, classes, (height, width) in parts:
        there = scores > 0
        scale = np.array([width / size[1], height / size[0]] * 2, np.float32)
        numbers = np.rint(classes[there]).astype(np.int64)
        if names and numbers.size and (numbers.min() < 0 or numbers.max() >= len(names)):
            raise ValueError(
                f"The model finds class {numbers.max()}, the artifact names {len(names)} classes. Export it "
                "with all names: Card(class_names=...)."
            )
        found.append(Detected(boxes[there] * scale, scores[there], numbers, names))
    return found


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask `(h, w)` as `(H, W)`, each pixel with the class of the pixel that lies below its middle.

    Example:
        >>> resize_mask(np.array([[0, 1]]), (1, 4)).tolist()
        [[0, 0, 1, 1]]
    """
    if mask.shape == size:
        return mask
    rows, columns = (
        ((2 * np.arange(many) + 1) * had) // (2 * many) for many, had in zip(size, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]
