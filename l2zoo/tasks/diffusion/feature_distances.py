"""How near drawn images are to real ones, by features: Fréchet distance, nearest neighbours, copying."""

from __future__ import annotations

from typing import Any

import numpy as np

from l2zoo.utils.arguments import suggest_arguments

CHUNK = 256  # rows that are compared at a time


@suggest_arguments
def frechet_distance(features: Any, reference: Any) -> float:
    """The Fréchet distance between the Gaussians that have the mean and the covariance of two sets.

    `d = |m1 - m2| ** 2 + trace(C1 + C2 - 2 (C1 C2) ** (1/2))`. It is biased: sets of few examples are further
    apart than those that they were drawn from. Compare numbers only for the same features and set sizes.

    Args:
        features: `(N, D)`, at least two rows: of images that were drawn, such as what a classifier pools.
        reference: `(M, D)`, at least two rows: of real images.

    Returns:
        At least 0; 0 for sets of equal mean and covariance.

    Raises:
        ValueError: Not two matrices of as many columns, with two rows or more, of finite numbers.

    References:
        Dowson and Landau 1982, The Fréchet distance between multivariate normal distributions. Heusel et al.
        2017, GANs Trained by a Two Time-Scale Update Rule (with the features of Inception: FID). Here, with
        `C1 = A' A` and `C2 = B' B`, the trace of the root is the sum of the singular values of `A B'`: no
        root of a singular matrix is taken, so fewer examples than features do no harm.

    Example:
        >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
        9.0
    """
    one, other = _matrix("features", features), _matrix("reference", reference)
    if one.shape[1] != other.shape[1]:
        raise ValueError(
            "`features` and `reference` must have the same number of columns, got "
            f"{one.shape[1]} and {other.shape[1]}."
        )
    apart = float(np.square(one.mean(axis=0) - other.mean(axis=0)).sum())
    a, b = _root(one), _root(other)
    spread = np.square(a).sum() + np.square(b).sum() - 2 * np.linalg.norm(a @ b.T, "nuc")
    return apart + max(0.0, float(spread))


@suggest_arguments
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
    ours, theirs = nearest_neighbours(samples, train)[0], nearest_neighbours(test, train)[0]
    gaps = np.sign(theirs[None, :] - ours[:, None])
    return float((gaps.mean() + 1) / 2)


def nearest_neighbours(images: Any, reference: Any) -> tuple[np.ndarray, np.ndarray]:
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
        >>> nearest_neighbours([[0.0, 0.0]], [[5.0, 5.0], [1.0, 7.0], [2.0, 2.0]])
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


def _matrix(name: str, values: Any) -> np.ndarray:
    found = np.asarray(values, np.float64)
    if found.ndim != 2 or len(found) < 2 or not found.shape[1] or not np.isfinite(found).all():
        raise ValueError(
            f"`{name}` must be finite numbers of shape (N, D) with N >= 2, got shape={found.shape}"
            f"{'' if np.isfinite(found).all() else ' with NaN or infinity'}."
        )
    return found


def _root(values: np.ndarray) -> np.ndarray:
    """A matrix `A`, `(min(N, D), D)`, whose `A' A` is the covariance of the rows."""
    centred = (values - values.mean(axis=0)) / np.sqrt(len(values) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _rows(name: str, values: Any) -> np.ndarray:
    found = np.asarray(values, np.float64)
    if found.ndim < 2 or not found.size:
        raise ValueError(f"`{name}` must have rows of numbers, got shape={found.shape}.")
    return found
