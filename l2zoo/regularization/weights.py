"""Which weights a model has: their roles, and where Keras keeps the regularizer of each.

Keras writes a layer's `*_regularizer` attribute to disk and trains with the variable's `regularizer`;
only the two together train and survive a reload. A `Weight` knows both places.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

ROLES = ("kernel", "depthwise", "recurrent", "embedding", "bias", "norm")

# Variable name in Keras's own layers -> (role, name of the regularizer argument).
_KERAS_NAMES = {
    "kernel": ("kernel", "kernel_regularizer"),
    "lora_kernel_a": ("kernel", "kernel_regularizer"),
    "lora_kernel_b": ("kernel", "kernel_regularizer"),
    "depthwise_kernel": ("depthwise", "depthwise_regularizer"),
    "pointwise_kernel": ("kernel", "pointwise_regularizer"),
    "recurrent_kernel": ("recurrent", "recurrent_regularizer"),
    "embeddings": ("embedding", "embeddings_regularizer"),
    "lora_embeddings_a": ("embedding", "embeddings_regularizer"),
    "lora_embeddings_b": ("embedding", "embeddings_regularizer"),
    "reverse_embeddings": ("embedding", "reverse_embeddings_regularizer"),
    "bias": ("bias", "bias_regularizer"),
    "alpha": ("bias", "alpha_regularizer"),  # PReLU's slopes: He et al. 2015 (Delving Deep) exempt them
    "gamma": ("norm", "gamma_regularizer"),
    "beta": ("norm", "beta_regularizer"),
}
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Weight:
    """A trainable variable (or one that is frozen just now) and its place in the model.

    Attributes:
        variable: The Keras variable.
        layer: The layer that owns it.
        role: One of `ROLES`.
        argument: Name of the regularizer argument it belongs to, e.g. `"kernel_regularizer"`.
        ancestors: The layers around `layer`, outermost first.
    """

    variable: Any
    layer: keras.layers.Layer
    role: str
    argument: str
    ancestors: tuple[keras.layers.Layer, ...]

    @property
    def path(self) -> str:
        """The variable's path, e.g. `"stage1_conv1/kernel"`: what overrides match."""
        return self.variable.path

    def config_places(self) -> list[tuple[keras.layers.Layer, str]]:
        """The `(layer, attribute)` pairs from which Keras writes this weight's regularizer to disk.

        The owner's own attribute and, where an outer layer makes the owner anew from an argument of
        its own (as MultiHeadAttention does), that layer's attribute too.
        """
        places = []
        for layer in (self.layer, *reversed(self.ancestors)):
            if layer is not self.layer and _writes_children(layer):
                break
            attribute = _attribute(layer, self.argument)
            if attribute is not None:
                places.append((layer, attribute))
        return places


def weights_of(model: keras.layers.Layer) -> list[Weight]:
    """Every weight of a model that trains or can train, each once, in the order of the layers.

    Args:
        model: A built Keras model or layer; nested models, wrapped layers, RNN cells and the
            projections inside attention are reached. Weights frozen by `trainable = False` are included.

    Raises:
        TypeError: `model` is not a Keras layer or model.
        ValueError: `model` has no weights yet because it was not built.
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"`model` must be a Keras model or layer, got {type(model).__name__}.")
    if not model.built:
        raise ValueError(
            f"`model` (={model.name!r}) is not built, so it has no weights yet. "
            "Call `model.build(input_shape)` or call it once on data first."
        )
    # In the middle of an epoch JAX keeps the values to itself; Keras gives callbacks this method for it.
    getattr(model, "jax_state_sync", lambda: None)()
    weights: dict[int, Weight] = {}
    for layer, ancestors in _walk(model, ()):
        for variable in layer._trainable_variables:
            known = weights.get(id(variable))
            # A wrapper may keep the weight of the layer inside it as its own too, as SpectralNormalization
            # does: the inner layer is the owner.
            if known is None or known.layer in ancestors:
                role, argument = _role(layer, variable)
                weights[id(variable)] = Weight(variable, layer, role, argument, ancestors)
    return list(weights.values())


def layers_of(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A model and every layer inside it, however deep: projections of attention and RNN cells too."""
    return list(model._flatten_layers())


def after_reload(weights: list[Weight]) -> list[tuple[float, float] | None]:
    """`(l1, lambda)` that each weight would have after `model.save` and `load_model`.

    Keras's own layers write down their regularizer arguments. What a custom layer would do is found
    out by making the outermost custom layer once more from its config.
    """
    twins: dict[int, dict[int, Any]] = {}
    found = []
    for weight in weights:
        custom = next((layer for layer in (*weight.ancestors, weight.layer) if _is_custom(layer)), None)
        if custom is None:
            found.append(_config_coefficients(weight))
        else:
            if id(custom) not in twins:
                twins[id(custom)] = _regularizers_after_rebuild(custom)
            found.append(coefficients(twins[id(custom)].get(id(weight.variable))))
    return found


def coefficients(regularizer: Any) -> tuple[float, float] | None:
    """`(l1, lambda)` of a regularizer in Keras's form; `None` if it is of a kind that has neither."""
    if regularizer is None:
        return 0.0, 0.0
    if isinstance(regularizer, (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)):
        return float(getattr(regularizer, "l1", 0.0)), float(getattr(regularizer, "l2", 0.0))
    return None


def _config_coefficients(weight: Weight) -> tuple[float, float] | None:
    """`(l1, lambda)` that Keras would write to disk for a weight: the outermost of its config places."""
    places = weight.config_places()
    return coefficients(getattr(*places[-1])) if places else (0.0, 0.0)


# `layers_of` and the functions below alone read Keras's private attributes of a layer; Keras has no
# public way to say which layer owns a variable, or to list what is inside a layer of any kind.


def _walk(layer: keras.layers.Layer, ancestors: tuple) -> Iterator[tuple[keras.layers.Layer, tuple]]:
    yield layer, ancestors
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield from _walk(child, (*ancestors, layer))


def _attribute(layer: keras.layers.Layer, argument: str) -> str | None:
    """The attribute in which a layer keeps a regularizer argument; attention keeps a private one."""
    return next((name for name in (argument, f"_{argument}") if name in vars(layer)), None)


def _role(layer: keras.layers.Layer, variable: Any) -> tuple[str, str]:
    name = variable.name
    if isinstance(layer, _DEPTHWISE) and name == "kernel":
        return "depthwise", "depthwise_regularizer"
    if isinstance(layer, keras.layers.RMSNormalization):
        return "norm", "scale_regularizer"
    if name in _KERAS_NAMES and _is_kind_of_keras_layer(layer):
        return _KERAS_NAMES[name]
    return ("kernel" if len(variable.shape) >= 2 else "bias"), f"{name}_regularizer"


def _is_kind_of_keras_layer(layer: keras.layers.Layer) -> bool:
    bases = {c for c in type(layer).__mro__ if issubclass(c, keras.layers.Layer)}
    return any(c.__module__.startswith("keras.") for c in bases - {keras.layers.Layer, keras.Model})


def _is_custom(layer: keras.layers.Layer) -> bool:
    return not type(layer).__module__.startswith("keras.")


def _writes_children(layer: keras.layers.Layer) -> bool:
    """Whether a layer's config holds its inner layers with their own configs, each kept as it is."""
    containers = (keras.Model, keras.layers.Wrapper, keras.layers.RNN, keras.layers.StackedRNNCells)
    return isinstance(layer, containers) and not _is_custom(layer)


def _regularizers_after_rebuild(layer: keras.layers.Layer) -> dict[int, Any]:
    """Regularizers that a layer's weights have in a copy made from its config, by `id(variable)`.

    The copy leaves no trace: initialisers draw their default seeds from Python's random state, and a
    custom layer may draw from NumPy's, so both are put back; Keras counts layer names and draws its own
    random numbers by thread, so it is made in a thread of its own.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings(), ThreadPoolExecutor(1) as thread:
            warnings.simplefilter("ignore")
            twin = thread.submit(_rebuild, layer).result()
        pairs = zip(weights_of(layer), weights_of(twin), strict=True)
        return {id(mine.variable): its.variable.regularizer for mine, its in pairs}
    except Exception:  # a custom layer may fail in any way: then nothing of it is carried over
        return {}
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _rebuild(layer: keras.layers.Layer) -> keras.layers.Layer:
    return keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer),
        custom_objects={type(inner).__name__: type(inner) for inner, _ in _walk(layer, ())},
    )
