"""How alike two images or frames are: PSNR and SSIM, in NumPy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

PEAK = 255.0
HIGHEST = 100.0  # dB, of frames that are the same, so that means stay finite
WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03


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
    truth, found = _both(truth, found)
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
    truth, found = _both(truth, found)
    smallest = min(truth.shape[-3:-1])
    window = min(WINDOW, smallest - 1 + smallest % 2)
    mean_truth, mean_found = _local_mean(truth, window), _local_mean(found, window)
    squares, product = mean_truth**2 + mean_found**2, mean_truth * mean_found
    variances = _local_mean(truth**2 + found**2, window) - squares
    covariance = _local_mean(truth * found, window) - product
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    alike = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return alike.mean(axis=(-3, -2, -1))


def _local_mean(x: np.ndarray, window: int) -> np.ndarray:
    """Means under the Gaussian window, where it lies inside: `(..., H - window + 1, W - window + 1, C)`."""
    reach = window // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SIGMA) ** 2)
    for axis in (-3, -2):
        x = correlate1d(x, weights / weights.sum(), axis=axis)
    height, width = x.shape[-3:-1]
    return x[..., reach : height - reach, reach : width - reach, :]


def _both(truth: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, found = np.asarray(truth, np.float64), np.asarray(found, np.float64)
    if truth.ndim < 3 or truth.shape != found.shape or not truth.size:
        raise ValueError(
            f"`truth` and `found` must have one shape (..., H, W, C), got {truth.shape} and {found.shape}."
        )
    return truth, found
