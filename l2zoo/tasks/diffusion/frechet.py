"""How far two sets of features are apart, each taken for a Gaussian."""

from __future__ import annotations

from typing import Any

import numpy as np


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
