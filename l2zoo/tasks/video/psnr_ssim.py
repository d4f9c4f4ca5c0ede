"""How alike two images or frames are: PSNR by its formula, SSIM by TensorFlow on every backend of Keras."""

from __future__ import annotations

import numpy as np

PEAK = 255.0
HIGHEST = 100.0  # dB, of frames that are the same, so that means stay finite
WINDOW = 11  # pixels


def psnr(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each image: `10 * log10(255 ** 2 / mean squared error)`, in dB.

    Args:
        truth: `(..., H, W, C)`, pixels in [0, 255].
        found: Of the same shape.

    Returns:
        `(...)`, at most 100 dB, which stand for "the same".

    Raises:
        ValueError: The shapes differ, or are none of images.

    Example:
        >>> float(psnr(np.zeros((8, 8, 1)), np.full((8, 8, 1), 25.5)))
        20.0
    """
    truth, found = _check_pair(truth, found, "float64")
    error = np.square(truth - found).mean(axis=(-3, -2, -1))
    return 10.0 * np.log10(PEAK**2 / np.maximum(error, PEAK**2 / 10 ** (HIGHEST / 10)))


def ssim(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Structural similarity of each image: means, contrasts and their correlation, compared locally.

    The window is a Gaussian of 11x11 pixels, with a standard deviation of 1.5; it is cut to the largest odd
    side that fits into images that are smaller. Where it would leave the image, nothing is measured. The
    similarity of an image is its mean over places and channels.

    Args:
        truth: `(..., H, W, C)`, pixels in [0, 255].
        found: Of the same shape.

    Returns:
        `(...)`, at most 1.

    Raises:
        ValueError: The shapes differ, or are none of images.

    References:
        Wang, Bovik, Sheikh, Simoncelli 2004, Image Quality Assessment: From Error Visibility to Structural
        Similarity, section III.B, with its constants. There an image is shrunk first if it is large.
    """
    import tensorflow as tf

    truth, found = _check_pair(truth, found, "float32")
    smallest = min(truth.shape[-3:-1])
    window = min(WINDOW, smallest - 1 + smallest % 2)
    with tf.device("CPU"):  # the accelerator's memory is the model's
        return tf.image.ssim(truth, found, max_val=PEAK, filter_size=window).numpy()


def _check_pair(truth: np.ndarray, found: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    truth, found = np.asarray(truth, dtype), np.asarray(found, dtype)
    if truth.ndim < 3 or truth.shape != found.shape or not truth.size:
        raise ValueError(
            f"`truth` and `found` must have one shape (..., H, W, C), got {truth.shape} and {found.shape}."
        )
    return truth, found
