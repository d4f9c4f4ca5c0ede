"""How noise is mixed into images, and what follows from each other: image, noise and velocity.

Clean images `x` are scaled to [-1, 1]. At time `t` in [0, 1] an image is `z = alpha(t) x + sigma(t) noise`,
with `alpha ** 2 + sigma ** 2 = 1`, and its velocity is `v = alpha noise - sigma x`. The functions are
arithmetic: they take arrays and tensors alike.

References:
    Nichol and Dhariwal 2021, Improved Denoising Diffusion Probabilistic Models, eq. 17 (the cosine schedule;
    here time is continuous, and nothing is clipped).
    Salimans and Ho 2022, Progressive Distillation for Fast Sampling of Diffusion Models, section 4 (`v`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

OFFSET = 0.008  # keeps the noise at the first small times from being none at all
HALF_RANGE = 127.5  # pixels that make 1


def alpha_sigma(times: Any, *, ops: Any = np) -> tuple[Any, Any]:
    """How much there is of the image, and of the noise.

    `alpha = cos(a) / cos(b)` with `a = (t + s) / (1 + s) * pi / 2` and `b` the same at `t = 0`, computed in a
    form that is exact at both ends.

    Args:
        times: In [0, 1], of any shape.
        ops: Where `sin` and `sqrt` are: NumPy, `tf.math`, `keras.ops`.

    Returns:
        `alpha` and `sigma`, of the shape of `times`.

    Example:
        >>> alpha, sigma = alpha_sigma(np.array([0.0, 1.0]))
        >>> alpha.tolist(), sigma.tolist()
        ([1.0, 0.0], [0.0, 1.0])
    """
    quarter = math.pi / 2 / (1 + OFFSET)
    first = quarter * OFFSET
    gone = times * quarter
    alpha = ops.sin((1.0 - times) * quarter) / math.cos(first)
    sigma = ops.sqrt(ops.sin(gone) * ops.sin(gone + 2 * first)) / math.cos(first)
    return alpha, sigma


def add_noise(clean: Any, noise: Any, alpha: Any, sigma: Any) -> Any:
    """An image with noise in it."""
    return alpha * clean + sigma * noise


def velocity(clean: Any, noise: Any, alpha: Any, sigma: Any) -> Any:
    """What a denoiser is to say."""
    return alpha * noise - sigma * clean


def clean_image(image: Any, v: Any, alpha: Any, sigma: Any) -> Any:
    """The image without its noise, by its velocity."""
    return alpha * image - sigma * v


def remaining_noise(image: Any, clean: Any, alpha: Any, sigma: Any) -> Any:
    """The noise of an image, if `clean` is what is below it; `sigma` must be above 0."""
    return (image - alpha * clean) / sigma


def scale_pixels(pixels: Any) -> Any:
    """Pixels in [0, 255] as numbers in [-1, 1]."""
    return pixels / HALF_RANGE - 1.0


def to_pixels(numbers: Any) -> Any:
    """Numbers in [-1, 1] as pixels in [0, 255]."""
    return (numbers + 1.0) * HALF_RANGE
