"""Norms of a model's weights and of the two parts of their gradients, on every backend.

The loss is data loss plus penalty, and so is its gradient: here the parts are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

NormFunction = Callable[[], np.ndarray]


def norm_function(model: keras.Model, x: Any, y: Any) -> NormFunction:
    """A function that says how the trainable weights are now; compiled when first called.

    The forward pass is that of training. What it changes (moving averages, seeds of dropout) is put back.

    Args:
        model: A compiled model.
        x: Inputs of one batch.
        y: Their targets, as the loss takes them.

    Returns:
        A function that gives `(N, 3)`, float64, a row for each of `model.trainable_variables`: the norm of
        the weight, of the data loss's gradient, and of the penalty's.
    """
    backends: dict[str, Any] = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return backends[keras.backend.backend()](model, x, y)


def _parts(model: keras.Model, x: Any, y: Any) -> tuple[Any, Any]:
    """Data loss and penalty."""
    total = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    parts = [v.regularizer(v) for v in model.trainable_variables if v.regularizer is not None]
    penalty = sum(parts) if parts else ops.zeros((), dtype="float32")
    return total - ops.cast(penalty, total.dtype), penalty


def _norm(tensor: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(ops.cast(tensor, "float32"))))


def _norms(values: Any, data: Any, penalty: Any) -> Any:
    """`(N, 3)`; a gradient that is not there is 0."""
    zero = ops.zeros((), dtype="float32")
    rows = [
        [_norm(value), *(zero if one is None else _norm(one) for one in both)]
        for value, *both in zip(values, data, penalty, strict=True)
    ]
    return ops.stack([ops.stack(row) for row in rows])


class _StateKept:
    """Puts the state that is not trained back when a `with` block ends."""

    def __init__(self, model: keras.Model):
        self.variables = model.non_trainable_variables

    def __enter__(self) -> None:
        self.before = [ops.copy(ops.convert_to_tensor(v)) for v in self.variables]

    def __exit__(self, *_: Any) -> None:
        for variable, value in zip(self.variables, self.before, strict=True):
            variable.assign(value)


def _tensorflow(model: keras.Model, x: Any, y: Any) -> NormFunction:
    import tensorflow as tf

    x, y = keras.tree.map_structure(tf.convert_to_tensor, (x, y))
    variables = [v.value for v in model.trainable_variables]

    @tf.function(autograph=False)
    def compiled() -> Any:
        with tf.GradientTape(persistent=True) as tape:
            data, penalty = _parts(model, x, y)
        both = [tape.gradient(part, variables) for part in (data, penalty)]
        dense = [[None if one is None else tf.convert_to_tensor(one) for one in part] for part in both]
        return _norms(variables, *dense)

    def look() -> np.ndarray:
        with _StateKept(model):
            return compiled().numpy().astype(np.float64)

    return look


def _jax(model: keras.Model, x: Any, y: Any) -> NormFunction:
    import jax

    x, y = keras.tree.map_structure(jax.numpy.asarray, (x, y))

    def part(trainable: Any, rest: Any, which: int) -> Any:
        mapping = [*zip(model.trainable_variables, trainable, strict=True)]
        mapping += zip(model.non_trainable_variables, rest, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return _parts(model, x, y)[which]

    @jax.jit
    def compiled(trainable: Any, rest: Any) -> Any:
        both = [
            jax.grad(lambda values, which=which: part(values, rest, which))(trainable) for which in (0, 1)
        ]
        return _norms(trainable, *both)

    def look() -> np.ndarray:
        getattr(model, "jax_state_sync", lambda: None)()
        values = [
            [ops.convert_to_tensor(v) for v in some]
            for some in (model.trainable_variables, model.non_trainable_variables)
        ]
        return np.asarray(compiled(*values), np.float64)

    return look


def _torch(model: keras.Model, x: Any, y: Any) -> NormFunction:
    import torch

    x, y = keras.tree.map_structure(ops.convert_to_tensor, (x, y))

    def look() -> np.ndarray:
        values = [v.value for v in model.trainable_variables]
        with _StateKept(model):
            data, penalty = _parts(model, x, y)
            both = [
                torch.autograd.grad(part, values, retain_graph=True, allow_unused=True)
                if part.requires_grad
                else [None] * len(values)
                for part in (data, penalty)
            ]
        return ops.convert_to_numpy(_norms([v.detach() for v in values], *both)).astype(np.float64)

    return look
