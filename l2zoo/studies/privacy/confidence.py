"""How sure a model is of the right class of an image: the one number that the attacks look at."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

_BATCH = 256
_TINY = 1e-38  # the smallest float32; a softmax gives 0 below it


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


def answers(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The probabilities `(N, K)` that a model gives to the classes of images `(N, H, W, C)`.

    Raises:
        ValueError: They are no probabilities of two or more classes.
    """
    size = min(_BATCH, len(x))
    rows = np.arange(-(-len(x) // size) * size) % len(x)  # in whole batches, so that it is traced once
    parts: list[Any] = [model.predict_on_batch(x[some]) for some in rows.reshape(-1, size)]
    first = parts[0]
    if not isinstance(first, np.ndarray) or first.ndim != 2 or first.shape[1] < 2:
        what = f"shape {first.shape}" if isinstance(first, np.ndarray) else type(first).__name__
        raise ValueError(
            f"`model` must give class probabilities (B, K) with K at least 2, but {model.name!r} gives {what}"
            ". A privacy audit is for classifiers that end in a softmax."
        )
    found = np.concatenate(parts)[: len(x)]
    sums = found.astype(np.float64).sum(axis=1)
    if not (np.isfinite(sums).all() and found.min() >= 0 and np.allclose(sums, 1, atol=1e-2)):
        worst = sums[np.argmax(np.abs(sums - 1))]
        raise ValueError(
            f"`model` must give class probabilities, numbers >= 0 with the sum 1, but {model.name!r} gave an "
            f"answer with the sum {worst:.4g}. If these are logits, end the model with a softmax: "
            "keras.Sequential([model, keras.layers.Softmax()])."
        )
    return found
