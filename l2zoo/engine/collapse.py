"""Whether a training has collapsed: the penalty has eaten the weights, the model became a constant."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from l2zoo.regularization.scale_invariance import layers_before_norms
from l2zoo.regularization.weights import Weight, weights_of
from l2zoo.training.alarms import COLLAPSED

STILL = 1e-3  # the held-out loss of a constant changes by less, relatively, from epoch to epoch


class Collapse:
    """Looks at a model after every epoch and says when it has collapsed.

    Then at least half of the kernels are below `COLLAPSED` of the norm they began with, and the held-out
    loss stands still. Kernels before a normalisation do not count where there are others: there, a small
    norm is as good as a large one.

    Args:
        model: The model, with its initial weights.
    """

    def __init__(self, model: keras.Model):
        kernels = [w for w in weights_of(model) if w.role not in ("bias", "norm")]
        before = {id(layer) for layer in layers_before_norms(model)}
        self._kernels = [w for w in kernels if id(w.layer) not in before] or kernels
        self._start = _norms(self._kernels)
        self._last = np.inf

    def seen(self, held_out_loss: float) -> bool:
        """Whether the training has collapsed, after an epoch that ended with this loss."""
        moved, self._last = abs(held_out_loss - self._last), held_out_loss
        if not self._kernels or not moved <= STILL * abs(held_out_loss):
            return False
        small = _norms(self._kernels) < COLLAPSED * self._start
        return bool(2 * small.sum() >= len(small))


def _norms(kernels: Sequence[Weight]) -> np.ndarray:
    return np.array([np.linalg.norm(ops.convert_to_numpy(w.variable)) for w in kernels])
