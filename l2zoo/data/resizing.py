"""Resizing images and masks to one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def resized(images: Any, size: tuple[int, int], *, nearest: bool = False) -> Any:
    """Images `(..., H, W, C)` resized bilinearly, smoothed where they shrink; the dtype stays.

    Args:
        images: A tensor of uint8 or float32.
        size: The new `(H, W)`.
        nearest: Whether to take the nearest pixel's value instead, as the classes of a mask need it.
    """
    import tensorflow as tf

    if nearest:
        return tf.image.resize(images, size, method="nearest")
    result = tf.image.resize(images, size, method="bilinear", antialias=True)
    if images.dtype == tf.uint8:
        return tf.cast(tf.clip_by_value(tf.round(result), 0, 255), tf.uint8)
    return result


def checked_size(image_size: Any) -> tuple[int, int] | None:
    """An `image_size` that somebody gave, as two ints or None.

    Raises:
        ValueError: It is something else.
    """
    if image_size is None:
        return None
    if not (
        isinstance(image_size, Sequence)
        and len(image_size) == 2
        and all(isinstance(side, int | np.integer) and side >= 1 for side in image_size)
    ):
        raise ValueError(
            f"`image_size` must be (H, W), two integers of at least 1, got image_size={image_size!r}."
        )
    return int(image_size[0]), int(image_size[1])
