"""Membership inference: each attack gives every image a score, the higher the more likely it was trained on.

All of them look at `phi = log(p / (1 - p))`, where p is the probability that a model gives to the right
class (`confidences`). Reference models have seen half of the images each, by chance, so that for every image
there are some that have seen it ("in") and some that have not ("out").

References:
    Yeom et al. 2018, Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting (the loss).
    Carlini et al. 2022, Membership Inference Attacks From First Principles (LiRA). Here one query an image,
    without augmentations; and the variance that all images share is that about each image's own mean.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from l2zoo.tasks.infer_output_kind import exclusive_kind

PER_IMAGE = 64  # reference models from which an image gets a variance of its own, as in the paper
_BATCH = 256
_TINY = 1e-38  # the smallest float32; a softmax gives 0 below it
_SMALLEST = 1e-6  # standard deviation; reference models that all agree would give 0


def class_probabilities(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The probabilities `(N, K)` that a model gives to the classes of images `(N, H, W, C)`.

    Raises:
        ValueError: It says no class, or nobody can tell what its output means.
    """
    size = min(_BATCH, len(x))
    rows = np.arange(-(-len(x) // size) * size) % len(x)  # in whole batches, so that it is traced once
    parts: list[Any] = [model.predict_on_batch(x[some]) for some in rows.reshape(-1, size)]
    first = parts[0]
    if not isinstance(first, np.ndarray) or first.ndim != 2:
        what = f"shape {first.shape}" if isinstance(first, np.ndarray) else type(first).__name__
        raise ValueError(
            f"`model` must say the class of an image, with an output (B, K), but {model.name!r} gives "
            f"{what}. A privacy audit is for classifiers."
        )
    answers = np.concatenate(parts)[: len(x)]
    if not np.isfinite(answers).all():
        raise ValueError(f"`model` must give finite numbers, but {model.name!r} gave an answer that is not.")
    return exclusive_kind(model, answers).probabilities(answers)


def confidences(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The logit of the probability of the right class, `log(p / (1 - p))`.

    `1 - p` is the sum of the other probabilities, so that a model that is all but certain still tells its
    images apart. The cross-entropy is `log(1 + exp(-logit))`: it puts images in the same order.

    Args:
        probabilities: `(N, K)`.
        y: Labels `(N,)`, below K.

    Returns:
        Logits `(N,)`, float64, within about 88 of 0.

    Example:
        >>> confidences(np.array([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0]]), np.array([0, 0])).round(3)
        array([ 1.099, 87.498])
    """
    others = probabilities.astype(np.float64)
    rows = np.arange(len(y))
    own = others[rows, y]
    others[rows, y] = 0.0
    return np.log(np.maximum(own, _TINY)) - np.log(np.maximum(others.sum(axis=1), _TINY))


def loss_threshold(phi: np.ndarray) -> np.ndarray:
    """Minus the cross-entropy: what has a small loss was trained on.

    Args:
        phi: Of the audited model `(N,)`.

    Example:
        >>> loss_threshold(np.array([0.0, np.log(3)])).round(4)  # probabilities 1/2 and 3/4
        array([-0.6931, -0.2877])
    """
    return -np.logaddexp(0.0, -phi)


def lira(phi: np.ndarray, references: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How much likelier an answer is for a model that has seen the image: LiRA's online attack.

    `log N(phi; mean_in, std_in) - log N(phi; mean_out, std_out)`, with a mean for each image.

    Args:
        phi: Of the audited model `(N,)`.
        references: Of the R reference models `(R, N)`.
        inside: Which images each was trained on, bool `(R, N)`; at least two in and two out for every image.
    """
    return _log_density(phi, references, inside) - _log_density(phi, references, ~inside)


def lira_offline(phi: np.ndarray, references: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How much surer the model is than models that have not seen the image: LiRA's offline attack.

    `(phi - mean_out) / std_out`, which orders images as the paper's one-sided test does. It needs no model
    that was trained on the image.

    Args:
        phi: Of the audited model `(N,)`.
        references: Of the R reference models `(R, N)`.
        inside: Which images each was trained on, bool `(R, N)`; at least two out for every image.
    """
    mean, deviation = _gaussian(references, ~inside)
    return (phi - mean) / deviation


def unseen(references: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How sure models are of images that they have not seen: no attack, but what the images alone tell."""
    return _gaussian(references, ~inside)[0]


def _log_density(phi: np.ndarray, references: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Of a Gaussian, but for a constant that is the same for all."""
    mean, deviation = _gaussian(references, chosen)
    return -np.log(deviation) - (phi - mean) ** 2 / (2 * deviation**2)


def _gaussian(references: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `(N,)` and standard deviation, of each image or of all, over the models chosen for it."""
    count = chosen.sum(axis=0)
    mean = np.where(chosen, references, 0.0).sum(axis=0) / count
    squares = np.where(chosen, (references - mean) ** 2, 0.0).sum(axis=0)
    if len(references) >= PER_IMAGE:
        variance = squares / (count - 1)
    else:
        variance = np.asarray(squares.sum() / (count - 1).sum())
    return mean, np.maximum(np.sqrt(variance), _SMALLEST)
