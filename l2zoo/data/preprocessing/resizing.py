"""Resizing to one size: bilinearly, smoothed where images shrink; masks by the nearest pixel.

In TensorFlow for training, in NumPy and Pillow for what runs a file, which need not have TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from l2zoo.data.preprocessing.aspect import Size, frame_of

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


def fit_pixels(
    image: np.ndarray, size: tuple[int, int], aspect: str, *, nearest: bool = False, fill: int = 0
) -> np.ndarray:
    """`fit` without TensorFlow, for an image `(h, w, C)` or a mask `(h, w)`."""
    part = frame_of((image.shape[0], image.shape[1]), size, aspect).cut(image, fill=fill)
    return resize_mask(part, size) if nearest else resize_pixels(part, size)


def resize_pixels(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`resize` without TensorFlow, for one image `(h, w, C)`, uint8 or float32.

    Channel by channel in floats: Pillow rounds bytes between height and width, TensorFlow does not.
    """
    from PIL import Image

    if image.shape[:2] == size:
        return image
    height, width = size
    channels = [  # one after another: floats of all channels are four times what a large image takes
        np.asarray(
            Image.fromarray(image[..., one].astype(np.float32)).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
        for one in range(image.shape[-1])
    ]
    result = np.stack(channels, axis=-1)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8) if image.dtype == np.uint8 else result


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask `(h, w, ...)` as `(H, W, ...)`, each pixel that of the one below its middle.

    Example:
        >>> resize_mask(np.array([[0, 1]]), (1, 4)).tolist()
        [[0, 0, 1, 1]]
    """
    if mask.shape[:2] == size:
        return mask
    rows, columns = (
        ((2 * np.arange(many) + 1) * had) // (2 * many)
        for many, had in zip(size, mask.shape[:2], strict=True)
    )
    return mask[np.ix_(rows, columns)]
