"""Which kernels a normalisation follows: what they compute does not depend on how large they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)
LINEAR = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)


def layers_before_norms(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The convolutions and dense layers whose output goes straight into a normalisation, and nowhere else.

    Scaling such a kernel changes nothing that the model says. So its L2 does not make the model simpler: it
    decides how large the kernel stays, and with it the effective learning rate, `lr / |w| ** 2`.

    Args:
        model: A model of layers (functional or sequential); models nested in it are looked into. Of others
            nobody can tell what follows what.

    Returns:
        The layers, in the order of the model.

    References:
        van Laarhoven 2017, L2 Regularization versus Batch and Weight Normalization.
    """
    found = []
    followers = _followers(model)
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, keras.Model):
            found += layers_before_norms(layer)
        after = followers.get(layer.name, [])
        linear = isinstance(layer, LINEAR) and layer.activation in (None, keras.activations.linear)
        if linear and after and all(isinstance(one, NORMS) for one in after):
            found.append(layer)
    return found


def _followers(model: keras.layers.Layer) -> dict[str, list[Any]]:
    """The layers that take a layer's output, by its name; None for operations and the model's output."""
    if isinstance(model, keras.Sequential):
        return {
            layer.name: [after] for layer, after in zip(model.layers, [*model.layers[1:], None], strict=True)
        }
    if not isinstance(model, keras.Model) or not model.get_config().get("layers"):
        return {}
    config = model.get_config()
    layers = {layer.name: layer for layer in model.layers}
    found: dict[str, list[Any]] = {}
    for entry in config["layers"]:
        for name in _names(entry["inbound_nodes"]):
            found.setdefault(name, []).append(layers.get(entry["name"]))
    for name in _names_of_outputs(config["output_layers"]):
        found.setdefault(name, []).append(None)
    return found


def _names(part: Any) -> Iterator[str]:
    """The names of the layers whose outputs stand somewhere in a node's arguments."""
    if isinstance(part, dict):
        history = part.get("config", {}).get("keras_history") if part.get("class_name") else None
        if history:
            yield history[0]
        else:
            for one in part.values():
                yield from _names(one)
    elif isinstance(part, list | tuple):
        for one in part:
            yield from _names(one)


def _names_of_outputs(part: Any) -> Iterator[str]:
    """The names in `["logits", 0, 0]`, or in lists and dicts of such."""
    if isinstance(part, dict):
        for one in part.values():
            yield from _names_of_outputs(one)
    elif part and isinstance(part[0], str):
        yield part[0]
    else:
        for one in part:
            yield from _names_of_outputs(one)
