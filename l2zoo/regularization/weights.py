"""Which weights a model has: their roles, and where Keras keeps the regularizer of each.

Keras writes a layer's `*_regularizer` attribute to disk and trains with the variable's `regularizer`;
only the two together train and survive a reload. A `Weight` knows both places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

FREE_ROLES = ("token", "position", "scale", "bias", "norm")
"""What L2 spares unless it is asked; tokens and positions are no kernels, though they may have two axes."""
ROLES = ("kernel", "depthwise", "recurrent", "embedding", *FREE_ROLES)

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
# What the field exempts from L2 besides biases, as timm's models do with their `no_weight_decay`. Gains and
# shifts of a normalisation, or of a layer (LayerScale, Touvron et al. 2021), are told by their own name and a
# word in that of their layer's class; all else by its own name, a table of embeddings by its layer's too. The
# first that matches wins.
_BY_CLASS = (
    ("norm", re.compile(r"gamma|beta|scale|offset"), "norm"),
    ("scale", re.compile(r"gamma|beta|scale|lambda\d*"), "scale"),
)
_NO_TABLE = r"(?!.*(proj|kernel))"
_BY_NAME = (
    ("position", re.compile(rf"{_NO_TABLE}((.+_)?pos(ition|itions|itional)?(_.+)?|rel(ative)?_.+)")),
    ("token", re.compile(r"(.+_)?tokens?|(class|cls)_embedding|mask_emb(edding)?")),
    ("scale", re.compile(r"(.+_)?scal(e|es|ar)")),
    ("norm", re.compile(r"gamma|beta")),
    ("bias", re.compile(r"(.+_)?bias(es)?")),
)
_TABLES = ("embeddings", "reverse_embeddings", "lora_embeddings_a", "lora_embeddings_b")


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

    def set_regularizer(self, regularizer: Any) -> None:
        """Sets both places, for a policy: the variable's, which trains, and the layer's, which is saved."""
        if regularizer is not None:
            mark(regularizer)
        self.variable.regularizer = regularizer
        for layer, attribute in self.config_places():
            setattr(layer, attribute, regularizer)

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
                role, argument = _role(layer, variable, ancestors)
                weights[id(variable)] = Weight(variable, layer, role, argument, ancestors)
    return list(weights.values())


def layers_of(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A model and every layer inside it, however deep: projections of attention and RNN cells too."""
    return list(model._flatten_layers())


def mark(regularizer: Any) -> None:
    """Notes on a regularizer that a policy put it there."""
    regularizer.set_by_l2zoo = True


def is_by_policy(regularizer: Any) -> bool:
    """Whether a policy put a regularizer there, in this process or before the model was saved."""
    return getattr(regularizer, "set_by_l2zoo", False)


def coefficients(regularizer: Any) -> tuple[float, float] | None:
    """`(l1, lambda)` of a regularizer in Keras's form; `None` if it is of a kind that has neither."""
    if regularizer is None:
        return 0.0, 0.0
    if isinstance(regularizer, (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)):
        return float(getattr(regularizer, "l1", 0.0)), float(getattr(regularizer, "l2", 0.0))
    return None


def regularizer_of(l1: float, l2: float) -> Any:
    """Keras's own regularizer with these coefficients; `None` if both are 0."""
    if l1:
        return keras.regularizers.L1L2(l1=l1, l2=l2)
    return keras.regularizers.L2(l2) if l2 else None


# `layers_of` and the functions below alone read Keras's private attributes of a layer; Keras has no
# public way to say which layer owns a variable, or to list what is inside a layer of any kind.


def _walk(layer: keras.layers.Layer, ancestors: tuple) -> Iterator[tuple[keras.layers.Layer, tuple]]:
    yield layer, ancestors
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield from _walk(child, (*ancestors, layer))


def _attribute(layer: keras.layers.Layer, argument: str) -> str | None:
    """The attribute in which a layer keeps a regularizer argument; attention keeps a private one."""
    return next((name for name in (argument, f"_{argument}") if name in vars(layer)), None)


def _role(layer: keras.layers.Layer, variable: Any, ancestors: tuple) -> tuple[str, str]:
    name, kind = variable.name, _snake_case(type(layer).__name__)
    if isinstance(layer, _DEPTHWISE) and name == "kernel":
        return "depthwise", "depthwise_regularizer"
    if isinstance(layer, keras.layers.RMSNormalization):
        return "norm", "scale_regularizer"
    names = {name, _attribute_of(layer, variable)}
    if name in _TABLES:
        names |= {kind, _snake_case(layer.name), *(_attribute_of(outer, layer) for outer in ancestors[-1:])}
    by_name = next((role for role, pattern in _BY_NAME if any(map(pattern.fullmatch, names))), None)
    role, argument = "", f"{name}_regularizer"
    if name in _KERAS_NAMES and _is_kind_of_keras_layer(layer):
        role, argument = _KERAS_NAMES[name]
        if role != "norm":
            return ("position" if (role, by_name) == ("embedding", "position") else role), argument
    by_class = next((r for r, pattern, word in _BY_CLASS if pattern.fullmatch(name) and word in kind), None)
    by_shape = "kernel" if len(variable.shape) >= 2 else "bias"
    return by_class or role or by_name or by_shape, argument


def _attribute_of(layer: keras.layers.Layer, part: Any) -> str:
    """The name under which a layer keeps a weight or a layer of its own; empty if it is in a list."""
    kept = {**vars(layer), **vars(layer).get("_modules", {})}  # where PyTorch keeps layers
    return next((name.strip("_") for name, value in kept.items() if value is part), "")


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _is_kind_of_keras_layer(layer: keras.layers.Layer) -> bool:
    bases = {c for c in type(layer).__mro__ if issubclass(c, keras.layers.Layer)}
    return any(c.__module__.startswith("keras.") for c in bases - {keras.layers.Layer, keras.Model})


def is_custom(layer: keras.layers.Layer) -> bool:
    """Whether the class of a layer is not one of Keras's own."""
    return not type(layer).__module__.startswith("keras.")


def _writes_children(layer: keras.layers.Layer) -> bool:
    """Whether a layer's config holds its inner layers with their own configs, each kept as it is."""
    containers = (keras.Model, keras.layers.Wrapper, keras.layers.RNN, keras.layers.StackedRNNCells)
    return isinstance(layer, containers) and not is_custom(layer)
