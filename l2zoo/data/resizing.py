"""Resizing images and masks to one size."""

from __future__ import annotations

from typing import Any


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
