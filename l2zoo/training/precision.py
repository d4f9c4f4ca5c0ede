"""Mixed precision for the time of a training, on a model that was built in float32.

Weights, optimizer and penalties stay float32; layers compute in a type of 16 bits. The layers at the end
of the model keep float32, so that probabilities and losses do, and afterwards all layers are as before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from l2zoo.regularization.weights import layers_of


def mixed_policy() -> str:
    """`"mixed_float16"` on a GPU, else `"mixed_bfloat16"`: CPUs and TPUs have no fast float16."""
    return "mixed_float16" if _has_gpu() else "mixed_bfloat16"


@contextlib.contextmanager
def mixed_precision(model: keras.Model, policy: str) -> Iterator[None]:
    """Lets the layers of a built float32 model compute in mixed precision.

    Layers that are of another type already are left as they are, as are those that give the model's
    outputs. The model must be compiled inside the block, and again after it.

    Args:
        model: A built model.
        policy: A Keras dtype policy, `"mixed_float16"` or `"mixed_bfloat16"`.

    Raises:
        ValueError: No layer of the model could change.
    """
    ends = {id(layer) for layer in _ends(model)}
    before = [(layer, layer.dtype_policy) for layer in layers_of(model) if id(layer) not in ends]
    before = [(layer, own) for layer, own in before if own.name == "float32"]
    if all(isinstance(layer, (keras.Model, keras.layers.InputLayer)) for layer, _ in before):
        raise ValueError(
            f"`mixed_precision=True` found no float32 layer but the last in model {model.name!r}: "
            "leave it out, or build the model in float32."
        )
    for layer, _ in before:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, own in before:
            layer.dtype_policy = own


def _ends(model: Any) -> list[keras.layers.Layer]:
    """The layers that give the model's outputs, down to those inside a nested model at the end."""
    if isinstance(model, keras.Sequential):
        ends = model.layers[-1:]
    else:
        names = getattr(model, "output_names", [])  # a subclassed model has none: nobody knows its end
        ends = [layer for layer in model.layers if layer.name in names]
    found: list[keras.layers.Layer] = []
    for layer in ends:
        found += _ends(layer) if isinstance(layer, keras.Model) else layers_of(layer)
    return found


def _has_gpu() -> bool:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return any(name.startswith(("gpu", "cuda")) for name in keras.distribution.list_devices())
