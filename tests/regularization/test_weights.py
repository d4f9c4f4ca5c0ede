"""Each of Keras's layers, and custom ones: which weights are reached, and what survives save and load."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.weights import FREE_ROLES, weights_of
from tests import by_hand

ATTENTION = ("query", "key", "value", "attention_output")


class Case(NamedTuple):
    """A model of one layer, and by hand the paths of what L2 must reach and must leave alone."""

    make: Callable[[], keras.Model]
    penalised: list[str]
    free: list[str]


def around(layer: keras.layers.Layer, *shape: int, dtype: str = "float32") -> keras.Model:
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, layer(inputs))


def self_attention(layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((4, 6))
    return keras.Model(inputs, layer(inputs, inputs))


def scored(layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((4, 3))
    return keras.Model(inputs, layer([inputs, inputs]))


def there_and_back(tie_weights: bool) -> keras.Model:
    layer = layers.ReversibleEmbedding(5, 3, tie_weights=tie_weights, name="d")
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, layer(layer(inputs), reverse=True))


def cells(prefix: str) -> tuple[list[str], list[str]]:
    return [f"{prefix}/kernel", f"{prefix}/recurrent_kernel"], [f"{prefix}/bias"]


def both(one: tuple[list[str], list[str]], other: tuple[list[str], list[str]]) -> tuple[list[str], list[str]]:
    return one[0] + other[0], one[1] + other[1]


def named(*names: str) -> list[str]:
    return [f"d/{name}" for name in names]


KERNEL, BIAS = named("kernel"), named("bias")
SEPARABLE = named("depthwise_kernel", "pointwise_kernel")
NORM = named("gamma", "beta")
CASES = {
    "Dense": Case(lambda: around(layers.Dense(3, name="d"), 4), KERNEL, BIAS),
    "EinsumDense": Case(
        lambda: around(layers.EinsumDense("ab,bc->ac", 3, bias_axes="c", name="d"), 4), KERNEL, BIAS
    ),
    "Conv1D": Case(lambda: around(layers.Conv1D(3, 2, name="d"), 8, 2), KERNEL, BIAS),
    "Conv2D": Case(lambda: around(layers.Conv2D(3, 2, name="d"), 6, 6, 2), KERNEL, BIAS),
    "Conv3D": Case(lambda: around(layers.Conv3D(3, 2, name="d"), 4, 4, 4, 2), KERNEL, BIAS),
    "Conv1DTranspose": Case(lambda: around(layers.Conv1DTranspose(3, 2, name="d"), 8, 2), KERNEL, BIAS),
    "Conv2DTranspose": Case(lambda: around(layers.Conv2DTranspose(3, 2, name="d"), 6, 6, 2), KERNEL, BIAS),
    "Conv3DTranspose": Case(lambda: around(layers.Conv3DTranspose(3, 2, name="d"), 4, 4, 4, 2), KERNEL, BIAS),
    "DepthwiseConv1D": Case(lambda: around(layers.DepthwiseConv1D(2, name="d"), 8, 2), KERNEL, BIAS),
    "DepthwiseConv2D": Case(lambda: around(layers.DepthwiseConv2D(2, name="d"), 6, 6, 2), KERNEL, BIAS),
    "SeparableConv1D": Case(lambda: around(layers.SeparableConv1D(3, 2, name="d"), 8, 2), SEPARABLE, BIAS),
    "SeparableConv2D": Case(lambda: around(layers.SeparableConv2D(3, 2, name="d"), 6, 6, 2), SEPARABLE, BIAS),
    "SimpleRNN": Case(lambda: around(layers.SimpleRNN(3, name="d"), 4, 2), *cells("d/simple_rnn_cell")),
    "LSTM": Case(lambda: around(layers.LSTM(3, name="d"), 4, 2), *cells("d/lstm_cell")),
    "GRU": Case(lambda: around(layers.GRU(3, name="d"), 4, 2), *cells("d/gru_cell")),
    "ConvLSTM1D": Case(
        lambda: around(layers.ConvLSTM1D(2, 2, name="d"), 2, 4, 2), *cells("d/conv_lstm_cell")
    ),
    "ConvLSTM2D": Case(
        lambda: around(layers.ConvLSTM2D(2, 2, name="d"), 2, 4, 4, 2), *cells("d/conv_lstm_cell")
    ),
    "ConvLSTM3D": Case(
        lambda: around(layers.ConvLSTM3D(2, 2, name="d"), 2, 4, 4, 4, 2), *cells("d/conv_lstm_cell")
    ),
    "RNN of a cell": Case(
        lambda: around(layers.RNN(layers.GRUCell(3, name="c"), name="d"), 4, 2), *cells("d/c")
    ),
    "StackedRNNCells": Case(
        lambda: around(
            layers.RNN(
                layers.StackedRNNCells(
                    [layers.LSTMCell(3, name="c1"), layers.SimpleRNNCell(2, name="c2")], name="s"
                ),
                name="d",
            ),
            4,
            2,
        ),
        *both(cells("d/s/c1"), cells("d/s/c2")),
    ),
    "Bidirectional": Case(
        lambda: around(layers.Bidirectional(layers.LSTM(3, name="d"), name="b"), 4, 2),
        *both(cells("b/forward_d/lstm_cell"), cells("b/backward_d/lstm_cell")),
    ),
    "Bidirectional of two kinds": Case(
        lambda: around(
            layers.Bidirectional(
                layers.LSTM(3, name="d"), backward_layer=layers.GRU(3, go_backwards=True, name="g"), name="b"
            ),
            4,
            2,
        ),
        *both(cells("b/forward_d/lstm_cell"), cells("b/g/gru_cell")),
    ),
    "TimeDistributed": Case(
        lambda: around(layers.TimeDistributed(layers.Conv1D(3, 2, name="d"), name="t"), 4, 5, 2),
        ["t/d/kernel"],
        ["t/d/bias"],
    ),
    "MultiHeadAttention": Case(
        lambda: self_attention(layers.MultiHeadAttention(2, 3, name="d")),
        [f"d/{part}/kernel" for part in ATTENTION],
        [f"d/{part}/bias" for part in ATTENTION],
    ),
    "GroupQueryAttention": Case(
        lambda: self_attention(layers.GroupQueryAttention(4, 4, 2, name="d")),
        [f"d/{part}/kernel" for part in ATTENTION],
        [f"d/{part}/bias" for part in ATTENTION],
    ),
    "Attention": Case(lambda: scored(layers.Attention(use_scale=True, name="d")), [], named("scale")),
    "AdditiveAttention": Case(lambda: scored(layers.AdditiveAttention(name="d")), [], named("scale")),
    "Embedding": Case(
        lambda: around(layers.Embedding(5, 3, name="d"), 4, dtype="int32"), named("embeddings"), []
    ),
    "ReversibleEmbedding, tied": Case(lambda: there_and_back(True), named("embeddings"), []),
    "PReLU": Case(lambda: around(layers.PReLU(name="d"), 4, 4), [], named("alpha")),
    "BatchNormalization": Case(lambda: around(layers.BatchNormalization(name="d"), 4), [], NORM),
    "LayerNormalization": Case(lambda: around(layers.LayerNormalization(name="d"), 4), [], NORM),
    "GroupNormalization": Case(lambda: around(layers.GroupNormalization(2, name="d"), 4), [], NORM),
    "RMSNormalization": Case(lambda: around(layers.RMSNormalization(name="d"), 4), [], named("scale")),
    "SpectralNormalization": Case(
        lambda: around(layers.SpectralNormalization(layers.Dense(3, name="d"), name="s"), 4),
        ["s/d/kernel"],
        ["s/d/bias"],
    ),
    "SpectralNormalization of Embedding": Case(
        lambda: around(
            layers.SpectralNormalization(layers.Embedding(5, 3, name="d"), name="s"), 4, dtype="int32"
        ),
        ["s/d/embeddings"],
        [],
    ),
}
# Which weights there are is the same on every backend; these few show it, for JAX compiles each operation.
ON_EVERY_BACKEND = (
    "Dense",
    "SeparableConv1D",
    "LSTM",
    "MultiHeadAttention",
    "Embedding",
    "BatchNormalization",
)
reversible = pytest.mark.skipif(
    not hasattr(layers, "ReversibleEmbedding"), reason=f"Keras {keras.__version__} has no ReversibleEmbedding"
)


def cases(on_every_backend: tuple[str, ...] = ()) -> list[Any]:
    """All of them as parameters of a test."""
    marks = {name: [pytest.mark.backends] for name in on_every_backend}
    marks["ReversibleEmbedding, tied"] = [reversible]
    return [pytest.param(case, id=name, marks=marks.get(name, [])) for name, case in CASES.items()]


# ---- Keras's own layers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases(ON_EVERY_BACKEND))
def test_every_kernel_is_penalised_and_nothing_else_also_after_reload(case: Case, tmp_path: Path) -> None:
    model = by_hand.randomise(case.make())
    assert sorted(w.path for w in model.trainable_weights) == sorted(case.penalised + case.free)
    L2Policy(1e-3).apply(model)
    expected = by_hand.penalty(model, case.penalised, 1e-3)
    assert len(model.losses) == len(case.penalised)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    again = by_hand.reloaded(model, tmp_path)
    assert len(again.losses) == len(case.penalised)
    assert by_hand.added_loss(again) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", cases())
def test_every_weight_is_penalised_when_asked(case: Case) -> None:
    model = by_hand.randomise(case.make())
    L2Policy(1e-3, multipliers=dict.fromkeys(FREE_ROLES, 1)).apply(model)
    expected = by_hand.penalty(model, case.penalised + case.free, 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)


def test_roles_are_those_of_the_layers() -> None:
    expected = {
        "Dense": {"d/kernel": "kernel", "d/bias": "bias"},
        "DepthwiseConv1D": {"d/kernel": "depthwise", "d/bias": "bias"},
        "DepthwiseConv2D": {"d/kernel": "depthwise", "d/bias": "bias"},
        "SeparableConv2D": {
            "d/depthwise_kernel": "depthwise",
            "d/pointwise_kernel": "kernel",
            "d/bias": "bias",
        },
        "LSTM": {
            "d/lstm_cell/kernel": "kernel",
            "d/lstm_cell/recurrent_kernel": "recurrent",
            "d/lstm_cell/bias": "bias",
        },
        "Embedding": {"d/embeddings": "embedding"},
        "Attention": {"d/scale": "scale"},
        "PReLU": {"d/alpha": "bias"},
        "BatchNormalization": {"d/gamma": "norm", "d/beta": "norm"},
        "RMSNormalization": {"d/scale": "norm"},
        "SpectralNormalization of Embedding": {"s/d/embeddings": "embedding"},
    }
    for name, roles in expected.items():
        assert {w.path: w.role for w in weights_of(CASES[name].make())} == roles


def test_spectral_normalization_of_a_depthwise_convolution_has_its_role() -> None:
    model = around(layers.SpectralNormalization(layers.DepthwiseConv2D(2, name="d"), name="s"), 6, 6, 2)
    assert {w.path: w.role for w in weights_of(model)} == {"s/d/kernel": "depthwise", "s/d/bias": "bias"}


@pytest.mark.skipif(
    "use_gate" not in inspect.signature(layers.MultiHeadAttention).parameters,
    reason=f"Keras {keras.__version__} has no gates",
)
def test_gated_attention_is_reached_whole(tmp_path: Path) -> None:
    model = by_hand.randomise(self_attention(layers.MultiHeadAttention(2, 3, use_gate=True, name="d")))
    L2Policy(1e-3).apply(model)
    paths = [f"d/{part}/kernel" for part in (*ATTENTION, "gate")]
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, paths, 1e-3), rel=1e-6)
    assert len(by_hand.reloaded(model, tmp_path).losses) == 5


@reversible
def test_an_untied_reverse_embedding_is_penalised_also_after_reload(tmp_path: Path) -> None:
    model = L2Policy(1e-3).apply(by_hand.randomise(there_and_back(False)))
    expected = by_hand.penalty(model, named("embeddings", "reverse_embeddings"), 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "dtype", "kernel", "adapters"),
    [
        (lambda: layers.Dense(3, name="d"), (4,), "float32", "kernel", "lora_kernel"),
        (lambda: layers.EinsumDense("ab,bc->ac", 3, name="d"), (4,), "float32", "kernel", "lora_kernel"),
        (lambda: layers.Conv2D(3, 2, name="d"), (6, 6, 2), "float32", "kernel", "lora_kernel"),
        (lambda: layers.Embedding(5, 3, name="d"), (4,), "int32", "embeddings", "lora_embeddings"),
    ],
)
def test_lora_adapters_are_penalised_and_the_frozen_kernel_is_not_while_frozen(
    layer: Callable[[], Any], shape: tuple[int, ...], dtype: str, kernel: str, adapters: str, tmp_path: Path
) -> None:
    lora = layer()
    model = around(lora, *shape, dtype=dtype)
    lora.enable_lora(2)
    L2Policy(1e-3).apply(by_hand.randomise(model))
    paths = named(f"{adapters}_a", f"{adapters}_b")
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, paths, 1e-3), rel=1e-6)
    # Keras merges the adapters into the kernel at saving and starts new ones: the values differ after it.
    again = by_hand.randomise(by_hand.reloaded(model, tmp_path), seed=1)
    assert by_hand.added_loss(again) == pytest.approx(by_hand.penalty(again, paths, 1e-3), rel=1e-6)


# ---- Custom layers -----------------------------------------------------------------------------------------

custom = keras.saving.register_keras_serializable("l2zoo_tests")


@custom
class Scaled(layers.Layer):
    """A kernel with a regularizer argument, and a vector."""

    def __init__(self, units: int, kernel_regularizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, shape: tuple) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=(shape[-1], self.units), regularizer=self.kernel_regularizer
        )
        self.shift = self.add_weight(name="shift", shape=(self.units,))

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.kernel) + self.shift

    def get_config(self) -> dict[str, Any]:
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        return {**super().get_config(), "units": self.units, "kernel_regularizer": regularizer}


@custom
class Bare(layers.Layer):
    """A kernel without a regularizer argument."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: tuple) -> None:
        self.matrix = self.add_weight(name="matrix", shape=(shape[-1], self.units))

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.matrix)

    def compute_output_shape(self, shape: tuple) -> tuple:
        return (*shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@custom
class Holder(layers.Layer):
    """Makes a standard layer from its own arguments, none of them a regularizer; draws random numbers."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.noise = np.random.rand() + random.random()
        self.dense = layers.Dense(units)
        self.dropout = layers.Dropout(0.5)

    def build(self, shape: tuple) -> None:
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return self.dropout(self.dense(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@custom
class Block(layers.Layer):
    """Hands its regularizer argument down to attention and to a Dense."""

    def __init__(self, kernel_regularizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.attention = layers.MultiHeadAttention(
            2, 3, kernel_regularizer=self.kernel_regularizer, name="attention"
        )
        self.out = layers.Dense(6, kernel_regularizer=self.kernel_regularizer, name="out")

    def build(self, shape: tuple) -> None:
        self.attention.build(shape, shape)
        self.out.build(shape)

    def call(self, x: Any) -> Any:
        return self.out(self.attention(x, x))

    def get_config(self) -> dict[str, Any]:
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        return {**super().get_config(), "kernel_regularizer": regularizer}


@custom
class Net(keras.Model):
    """A subclassed model that hands a regularizer down."""

    def __init__(self, units: int = 3, kernel_regularizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.dense = layers.Dense(units, kernel_regularizer=self.kernel_regularizer, name="dense")

    def call(self, x: Any) -> Any:
        return self.dense(x)

    def get_config(self) -> dict[str, Any]:
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        return {**super().get_config(), "units": self.units, "kernel_regularizer": regularizer}


@custom
class PlainNet(keras.Model):
    """A subclassed model without a regularizer argument, as most are."""

    def __init__(self, units: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.first = layers.Dense(units, name="first")
        self.second = layers.Dense(2, name="second")

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


@custom
class FixedNet(keras.Model):
    """A functional model that is made from other arguments than its layers."""

    def __init__(self, units: int = 3, **kwargs: Any):
        inputs = keras.Input((4,))
        super().__init__(inputs, layers.Dense(units, name="dense")(inputs), **kwargs)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "name": self.name}


@custom
class Cell(layers.Layer):
    """A recurrent cell that takes a regularizer for one of its two kernels."""

    def __init__(self, units: int = 2, kernel_regularizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, shape: tuple) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=(shape[-1], self.units), regularizer=self.kernel_regularizer
        )
        self.loop = self.add_weight(name="loop", shape=(self.units, self.units))

    def call(self, x: Any, states: list) -> Any:
        state = keras.ops.matmul(x, self.kernel) + keras.ops.matmul(states[0], self.loop)
        return state, [state]

    def get_config(self) -> dict[str, Any]:
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        return {**super().get_config(), "units": self.units, "kernel_regularizer": regularizer}


@custom
class WiderDense(layers.Dense):
    """A subclass of one of Keras's layers."""


def called(model: keras.Model, width: int = 4) -> keras.Model:
    model(np.zeros((1, width), "float32"))
    return model


CARRIED = {
    "regularizer argument": Case(lambda: around(Scaled(3, name="d"), 4), KERNEL, named("shift")),
    "handed down": Case(
        lambda: around(Block(name="d"), 4, 6),
        [f"d/attention/{part}/kernel" for part in ATTENTION] + ["d/out/kernel"],
        [f"d/attention/{part}/bias" for part in ATTENTION] + ["d/out/bias"],
    ),
    "subclass of Dense": Case(lambda: around(WiderDense(3, name="d"), 4), KERNEL, BIAS),
    "in a wrapper": Case(
        lambda: around(layers.TimeDistributed(WiderDense(3, name="d"), name="t"), 5, 4),
        ["t/d/kernel"],
        ["t/d/bias"],
    ),
    "subclassed model": Case(lambda: called(Net(name="m")), ["m/dense/kernel"], ["m/dense/bias"]),
    "subclassed model inside": Case(lambda: around(Net(name="m"), 4), ["m/dense/kernel"], ["m/dense/bias"]),
}
FORGOTTEN = {
    "no argument": (lambda: around(Bare(3, name="d"), 4), ["d/matrix"]),
    "in a wrapper": (
        lambda: around(layers.TimeDistributed(Bare(3, name="d"), name="t"), 5, 4),
        ["t/d/matrix"],
    ),
    "one of two": (
        lambda: around(layers.RNN(Cell(name="c"), name="d"), 4, 2),
        ["d/c/kernel", "d/c/loop"],
    ),
    "subclassed model": (lambda: called(PlainNet(name="m")), ["m/first/kernel", "m/second/kernel"]),
    "subclassed model inside": (
        lambda: around(PlainNet(name="m"), 4),
        ["m/first/kernel", "m/second/kernel"],
    ),
    "subclassed functional model": (lambda: FixedNet(), ["dense/kernel"]),
}
"""What Keras forgets: the config of a layer or of a model does not say what penalises its weights."""


@pytest.mark.parametrize("name", CARRIED)
def test_custom_layers_that_take_a_regularizer_carry_it(name: str, tmp_path: Path) -> None:
    case = CARRIED[name]
    model = by_hand.randomise(case.make())
    assert sorted(w.path for w in model.trainable_weights) == sorted(case.penalised + case.free)
    L2Policy(1e-3).apply(model)
    expected = by_hand.penalty(model, case.penalised, 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", FORGOTTEN)
def test_custom_layers_that_forget_it_are_penalised_also_after_reload(name: str, tmp_path: Path) -> None:
    make, paths = FORGOTTEN[name]
    model = L2Policy(1e-3).apply(by_hand.randomise(make()))
    expected = by_hand.penalty(model, paths, 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


# ---- Roles that a name tells -------------------------------------------------------------------------------


class Named(layers.Layer):
    """A layer that owns a weight of a name and a shape, or keeps it under another name."""

    def __init__(self, weight: str, *shape: int, attribute: str = "weight", **kwargs: Any):
        super().__init__(**kwargs)
        setattr(self, attribute, self.add_weight(name=weight, shape=shape))
        self.built = True


class LayerScale(Named):
    pass


class RootMeanSquareNorm(Named):
    pass


class PositionEmbedding(Named):
    pass


class PatchEncoder(layers.Layer):
    """As in Keras's example of a vision transformer: the layer has no name, the attribute has."""

    def __init__(self) -> None:
        super().__init__(name="encoder")
        self.projection = layers.Dense(3, name="projection")
        self.projection.build((None, 2))
        self.position_embedding = layers.Embedding(4, 3, name="embedding")
        self.position_embedding.build()
        self.token_embedding = layers.Embedding(9, 3, name="words")
        self.token_embedding.build()
        self.built = True


def role(layer: layers.Layer) -> str:
    (weight,) = weights_of(layer)
    return weight.role


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        # The names that keras-hub, timm and Keras's examples give them.
        ("class_token", (1, 1, 8), "token"),
        ("cls_token", (1, 1, 8), "token"),
        ("mask_token", (1, 8), "token"),
        ("distillation_token", (1, 1, 8), "token"),
        ("register_tokens", (1, 4, 8), "token"),
        ("class_embedding", (8,), "token"),
        ("pos_embed", (1, 4, 4, 8), "position"),
        ("position_embeddings", (1, 16, 8), "position"),
        ("position_embedding_table", (2, 16, 8), "position"),
        ("relative_position_bias_table", (49, 4), "position"),
        ("rel_pos_h", (27, 8), "position"),
        ("rel_embedding", (16, 8), "position"),
        ("positional_attention_bias", (4, 8), "position"),
        ("logit_scale", (), "scale"),
        ("layer_scalar", (1,), "scale"),
        ("gamma", (1, 1, 1, 8), "norm"),
        ("beta", (1, 1, 1, 8), "norm"),
        ("gate_up_proj_bias", (4, 8), "bias"),
        # What only sounds like it, and whatever else has two axes or more.
        ("kernel", (4, 8), "kernel"),
        ("pos_proj", (4, 8), "kernel"),
        ("position_kernel", (4, 8), "kernel"),
        ("token_mixing", (4, 8), "kernel"),
        ("composition", (4, 8), "kernel"),
        ("scaled", (4, 8), "kernel"),
        ("embeddings", (4, 8), "kernel"),
        ("matrix", (4, 8), "kernel"),
        ("anything", (8,), "bias"),
    ],
)
def test_the_name_of_a_weight_tells_what_is_exempt_by_convention(
    name: str, shape: tuple[int, ...], expected: str
) -> None:
    assert role(Named(name, *shape)) == expected


def test_the_attribute_and_the_class_of_its_layer_tell_it_too() -> None:
    assert role(Named("embeddings", 32, 4, attribute="relative_attention_bias")) == "position"  # as T5
    assert role(PositionEmbedding("embeddings", 16, 8)) == "position"
    assert role(LayerScale("gamma", 8)) == role(LayerScale("lambda1", 8)) == "scale"
    assert role(RootMeanSquareNorm("scale", 8)) == "norm"


def test_a_table_of_positions_is_one_by_the_name_of_its_layer_and_one_of_words_is_not() -> None:
    def embedding(name: str) -> keras.layers.Layer:
        layer = layers.Embedding(4, 3, name=name)
        layer.build()
        return layer

    assert [role(embedding(name)) for name in ("pos_emb", "position_embedding")] == ["position"] * 2
    assert [role(embedding(name)) for name in ("token_embedding", "words")] == ["embedding"] * 2
    assert {w.path: w.role for w in weights_of(PatchEncoder())} == {
        "projection/kernel": "kernel",
        "projection/bias": "bias",
        "embedding/embeddings": "position",
        "words/embeddings": "embedding",
    }


def test_a_kernel_of_keras_stays_one_whatever_its_layer_is_called() -> None:
    for name in ("position_embedding", "class_token", "layer_scale", "norm"):
        dense = layers.Dense(3, name=name)
        dense.build((None, 2))
        assert [w.role for w in weights_of(dense)] == ["kernel", "bias"]


@pytest.mark.backends
def test_exempt_weights_are_penalised_when_asked() -> None:
    layer = by_hand.randomise(PatchEncoder())
    L2Policy(1e-3).apply(layer)
    free = by_hand.penalty(layer, ["projection/kernel", "words/embeddings"], 1e-3)
    assert by_hand.added_loss(layer) == pytest.approx(free, rel=1e-6)
    L2Policy(1e-3, multipliers={"position": 0.5}).apply(layer)
    positions = by_hand.penalty(layer, ["embedding/embeddings"], 0.5e-3)
    assert by_hand.added_loss(layer) == pytest.approx(free + positions, rel=1e-6)


# ---- Models in models, and what is shared ------------------------------------------------------------------


def test_a_model_inside_a_model_is_reached(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="inner")
    middle = keras.Sequential([keras.Input((4,)), inner, layers.Dense(3, name="b")], name="middle")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="c")(middle(inputs)))
    L2Policy(1e-3).apply(by_hand.randomise(model))
    expected = by_hand.penalty(model, ["inner/a/kernel", "middle/b/kernel", "c/kernel"], 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


def test_a_model_and_a_layer_used_twice_count_once(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="inner")
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    once = keras.Sequential([keras.Input((4,)), inner], name="outer")
    model = keras.Model(inputs, shared(once(inner(inner(shared(inputs))))))
    L2Policy(1e-3).apply(by_hand.randomise(model))
    assert len(weights_of(model)) == 4
    values = by_hand.arrays(model)
    assert len(values) == 4
    expected = 1e-3 * sum(np.square(value).sum() for path, value in values.items() if path.endswith("kernel"))
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


def test_a_single_layer_can_be_given() -> None:
    layer = layers.Dense(3, name="d")
    layer.build((None, 4))
    assert L2Policy(1e-3).apply(by_hand.randomise(layer)) is layer
    assert by_hand.added_loss(layer) == pytest.approx(by_hand.penalty(layer, KERNEL, 1e-3), rel=1e-6)


def test_weights_that_never_train_are_not_listed() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(name="d"), layers.Dropout(0.5)])
    assert [w.variable.name for w in weights_of(model)] == ["gamma", "beta"]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`model` must be a Keras model or layer, got dict\."):
        weights_of({})  # type: ignore[arg-type]


def test_an_unbuilt_model_is_refused_with_the_next_step() -> None:
    with pytest.raises(
        ValueError, match=r"`model` \(='late'\) is not built.*Call `model.build\(input_shape\)`"
    ):
        weights_of(keras.Sequential([layers.Dense(2)], name="late"))
