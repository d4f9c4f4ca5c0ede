"""Resizing to one size: bilinearly, smoothed where images shrink; masks by the nearest pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from l2zoo.data.aspect import frame_of

_PIECE = 1024  # images that are resized at the same time


def resize(images: Any, size: tuple[int, int], *, nearest: bool = False) -> Any:
    """Images `(..., H, W, C)` resized bilinearly, smoothed where they shrink; the dtype stays.

    Args:
        images: A tensor of uint8 or float32, of an image or of several.
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


def fit(image: Any, size: tuple[int, int], aspect: str, *, nearest: bool = False, fill: int = 0) -> Any:
    """A tensor `(h, w, C)`, of which the part that `aspect` says is resized to `size`.

    `fill` is what it has where there is no image.
    """
    import tensorflow as tf

    if aspect != "stretch":

        def cut(image: np.ndarray) -> np.ndarray:
            return frame_of(image.shape[:2], size, aspect).cut(image, fill=fill)

        channels = image.shape[2]
        image = tf.numpy_function(cut, [image], image.dtype, stateful=False)
        image = tf.ensure_shape(image, (None, None, channels))
    return resize(image, size, nearest=nearest)


def fit_array(
    x: np.ndarray, size: tuple[int, int], aspect: str, *, nearest: bool = False, fill: int = 0
) -> Any:
    """The same for an array of images `(N, H, W, C)`."""
    if aspect != "stretch":
        frame = frame_of(x.shape[1:3], size, aspect)
        x = np.stack([frame.cut(image, fill=fill) for image in x])
    return resize_array(x, size, nearest=nearest)


def resize_array(x: np.ndarray, size: tuple[int, int] | None, *, nearest: bool = False) -> np.ndarray:
    """`resize` for an array of images `(N, H, W, C)` or clips `(N, T, H, W, C)`; None keeps the size."""
    if size is None or size == x.shape[-3:-1]:
        return x
    import tensorflow as tf

    images = x.reshape(-1, *x.shape[-3:])
    result = np.empty((len(images), *size, x.shape[-1]), x.dtype)
    with tf.device("CPU"):
        for start in range(0, len(images), _PIECE):
            here = slice(start, start + _PIECE)
            result[here] = resize(tf.convert_to_tensor(images[here]), size, nearest=nearest)
    return result.reshape(*x.shape[:-3], *result.shape[1:])
