"""Images that are arrays already."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.data.checks import check_images
from l2zoo.data.images import Arrays, ImageData
from l2zoo.data.resizing import resized


def from_arrays(x: ArrayLike, y: ArrayLike, *, split: str, image_size: tuple[int, int] | None) -> ImageData:
    """Images `(N, H, W, C)` or `(N, H, W)` with labels `(N,)` or `(N, 1)`, checked.

    Args:
        x: Pixels in [0, 255]; integers become uint8, floats float32. Not copied where nothing changes.
        y: Integers from 0; K is the largest plus one.
        split: What to call them.
        image_size: `(H, W)` to resize to, or `None`.

    Raises:
        ValueError: What `check_images` finds.
    """
    images, labels = np.asarray(x), np.asarray(y)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if labels.ndim == 2 and labels.shape[1] == 1:  # as `keras.datasets.cifar10` has them
        labels = labels[:, 0]
    check_images(images, labels)
    images = images.astype(np.uint8 if np.issubdtype(images.dtype, np.integer) else np.float32, copy=False)
    labels = labels.astype(np.int64, copy=False)
    if image_size is not None and image_size != images.shape[1:3]:
        import tensorflow as tf

        with tf.device("CPU"):
            images = np.concatenate([
                resized(tf.convert_to_tensor(some), image_size).numpy() for some in _pieces(images)
            ])  # fmt: skip
    num_classes = int(labels.max()) + 1
    return ImageData(
        name="arrays",
        split=split,
        num_examples=len(labels),
        num_classes=num_classes,
        class_names=tuple(str(label) for label in range(num_classes)),
        image_shape=images.shape[1:],
        dtype=images.dtype.name,
        source=Arrays(images, labels),
    )


def _pieces(images: np.ndarray, size: int = 1024) -> list[np.ndarray]:
    return [images[start : start + size] for start in range(0, len(images), size)]
