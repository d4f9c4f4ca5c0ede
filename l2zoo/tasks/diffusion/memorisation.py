"""Whether drawn images are new: how near they are to those that the model was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

CHUNK = 256  # rows that are compared at a time


def nearest(images: Any, reference: Any) -> tuple[np.ndarray, np.ndarray]:
    """The nearest neighbour of each image in a set of others.

    Args:
        images: `(N, ...)`: images, or features of them.
        reference: `(M, ...)`, of the same shape but for M.

    Returns:
        Distances `(N,)`, float64: roots of the mean squared difference, for images in pixels. And positions
        in `reference` `(N,)`, int64, the first of equals.

    Raises:
        ValueError: Nothing to compare, or rows of different shapes.

    Example:
        >>> nearest([[0.0, 0.0]], [[5.0, 5.0], [1.0, 7.0], [2.0, 2.0]])
        (array([2.]), array([2]))
    """
    one, other = _rows("images", images), _rows("reference", reference)
    if one.shape[1:] != other.shape[1:]:
        raise ValueError(
            "`images` and `reference` must have rows of one shape, got "
            f"{one.shape[1:]} and {other.shape[1:]}."
        )
    one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
    middle = other.mean(axis=0)  # taken off, the squares below are small and lose no digits
    one, other = one - middle, other - middle
    lengths = np.square(other).sum(axis=1)
    positions = [
        (lengths - 2 * one[start : start + CHUNK] @ other.T).argmin(axis=1)
        for start in range(0, len(one), CHUNK)
    ]
    found = np.concatenate(positions)
    return np.sqrt(np.square(one - other[found]).mean(axis=1)), found


def copying(samples: Any, train: Any, test: Any) -> float:
    """How often a drawn image is nearer to the training images than a test image is.

    Args:
        samples: Drawn images `(N, ...)`, or features of them.
        train: What the model was trained on, `(M, ...)`.
        test: Images of the same kind that it has not seen, `(T, ...)`.

    Returns:
        The share of pairs of a sample and a test image in which the sample is nearer to its nearest training
        image, in [0, 1]; ties count half. 0.5: as near as new images are. Near 1: copies (or images that are
        all alike, such as averages). Near 0: unlike the data.

    References:
        Meehan, Chaudhuri, Dasgupta 2020, A Non-Parametric Test to Detect Data-Copying in Generative Models:
        the Mann-Whitney statistic of the whole space, as a share.

    Example:
        >>> copying([[0.0], [9.0]], train=[[0.0], [10.0]], test=[[3.0], [8.5]])
        1.0
    """
    ours, theirs = nearest(samples, train)[0], nearest(test, train)[0]
    gaps = np.sign(theirs[None, :] - ours[:, None])
    return float((gaps.mean() + 1) / 2)


def _rows(name: str, values: Any) -> np.ndarray:
    found = np.asarray(values, np.float64)
    if found.ndim < 2 or not found.size:
        raise ValueError(f"`{name}` must have rows of numbers, got shape={found.shape}.")
    return found
