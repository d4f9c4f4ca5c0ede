"""Which kernels a normalisation follows, by scaling them and comparing what the model says."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo import build_cnn, build_resnet, zoo
from l2zoo.regularization.scale_invariance import scale_free_kernels
from l2zoo.regularization.weights import layers_of, weights_of
from tests import by_hand, test_contract, test_keras_hub
from tests.test_contract import more_of_the_same

NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
FACTOR = 4.0  # a power of two, so that scaling rounds nothing
SAME = 1e-3  # of the largest answer: so much is rounded where a bias is taken off
OTHER = 2e-5
NO_KERNELS = ("token", "position", "scale", "bias", "norm")


def found(model: keras.Model) -> set[str]:
    return {weight.path for weight in scale_free_kernels(model)}


class Scaled:
    """A model with random weights, whose kernels are scaled while it answers as in training.

    Norms get no epsilon, which would show where a kernel is small. Each answer starts from the same values of
    all variables, the states of random numbers and moving statistics among them.
    """

    def __init__(self, model: keras.Model, largest: float, examples: int = 4):
        rng = np.random.default_rng(0)
        self.model = model
        self.kernels = {w.path: w.variable for w in weights_of(model) if w.role not in NO_KERNELS}
        for variable in model.trainable_variables:
            # A bias of 0 would hide what a bias does, a kernel of 0 what stands before it.
            if variable.path not in self.kernels or not keras.ops.convert_to_numpy(variable).any():
                variable.assign(rng.uniform(0.2, 1.0, variable.shape) * rng.choice([-1, 1], variable.shape))
        for layer in layers_of(model):
            if isinstance(layer, NORMS):
                layer.epsilon = 1e-30  # not 0: what a dead channel says stays 0
        self.start = [keras.ops.convert_to_numpy(v) for v in model.variables]
        self.x = keras.tree.map_structure(lambda one: _values(one, examples, largest, rng), model.input)
        self.usual = self.answers(())

    def answers(self, paths: Any, factor: float = FACTOR) -> np.ndarray:
        for variable, value in zip(self.model.variables, self.start, strict=True):
            variable.assign(value)
        for path in paths:
            self.kernels[path].assign(self.kernels[path] * factor)
        outputs = keras.tree.flatten(self.model(self.x, training=True))
        return np.concatenate([keras.ops.convert_to_numpy(one).ravel() for one in outputs])

    def change(self, paths: Any, factor: float = FACTOR) -> float:
        """The largest difference that scaling these kernels makes, in parts of the largest answer."""
        difference = np.abs(self.answers(paths, factor) - self.usual).max()
        return float(difference / np.abs(self.usual).max())


def _values(tensor: Any, examples: int, largest: float, rng: np.random.Generator) -> np.ndarray:
    shape = (examples, *(size or 12 for size in tensor.shape[1:]))
    if "int" in tensor.dtype:
        return rng.integers(0, 2, shape).astype(tensor.dtype)
    return rng.uniform(0, largest if len(shape) > 2 else 1.0, shape).astype("float32")


def check(model: keras.Model, *, most: int = 12, largest: float = 255.0) -> set[str]:
    """Scales all that are found at once, and of the others each alone, or some; gives what was found.

    Args:
        model: Is left with other weights.
        most: How many of those that are not found are tried, spread over the model.
        largest: Of the inputs. Beside large ones a bias is not to be seen.
    """
    scaled, free = Scaled(model, largest), found(model)
    if free:
        assert scaled.change(free) < SAME
        assert scaled.change(free, 0.5) < SAME
    others = [path for path in scaled.kernels if path not in free]
    for path in others[:: -(-len(others) // most) or 1]:
        assert scaled.change([path]) > OTHER, path
    return free


# ---- One rule at a time ------------------------------------------------------------------------------------


def image() -> keras.KerasTensor:
    return keras.Input((8, 8, 3))


def conv(name: str = "k", **kwargs: Any) -> layers.Layer:
    return layers.Conv2D(4, 3, name=name, **{"padding": "same", **kwargs})


def ended(x: keras.KerasTensor, inputs: keras.KerasTensor) -> keras.Model:
    """A model whose last layers let everything be seen that reaches them."""
    return keras.Model(inputs, layers.Dense(3, name="end")(layers.Flatten()(x)))


def straight(*between: layers.Layer, first: layers.Layer | None = None) -> keras.Model:
    """A kernel "k", some layers, and layers behind which what is left of its size shows."""
    inputs = image()
    x = (first or conv())(inputs)
    for layer in between:
        x = layer(x)
    return ended(layers.Activation("tanh")(x), inputs)


def branches(join: layers.Layer, norm: layers.Layer, *, shared: bool) -> keras.Model:
    """Two branches with kernels of their own, or with the same one."""
    inputs = image()
    x = conv("k", use_bias=False)(inputs)
    y = layers.ReLU()(x) if shared else conv("other", use_bias=False)(inputs)
    return ended(layers.Activation("tanh")(norm(join([x, layers.MaxPooling2D(1)(y)]))), inputs)


def frames(*between: layers.Layer) -> keras.Model:
    """The same on clips."""
    x = inputs = keras.Input((2, 8, 8, 3))
    for layer in between:
        x = layer(x)
    return ended(layers.Activation("tanh")(x), inputs)


def batch_norm(**kwargs: Any) -> layers.Layer:
    return layers.BatchNormalization(**kwargs)


bare = {"use_bias": False}
FREE: dict[str, Callable[[], keras.Model]] = {
    "straight": lambda: straight(batch_norm()),
    "max pooling": lambda: straight(layers.MaxPooling2D(), batch_norm()),
    "average pooling": lambda: straight(layers.AveragePooling2D(2), batch_norm()),
    "global pooling": lambda: straight(layers.GlobalAveragePooling2D(), batch_norm()),
    "no bias, padding, ReLU": lambda: straight(
        layers.ZeroPadding2D(), layers.ReLU(), batch_norm(), first=conv(**bare)
    ),
    "leaky ReLU of the layer": lambda: straight(batch_norm(), first=conv(**bare, activation="leaky_relu")),
    "slopes": lambda: straight(layers.PReLU(), batch_norm(), first=conv(**bare)),
    "resizing": lambda: straight(layers.UpSampling2D(interpolation="bilinear"), batch_norm()),
    "cropping and flattening": lambda: straight(layers.Cropping2D(1), layers.Flatten(), batch_norm()),
    "reshaping": lambda: straight(layers.Reshape((16, 4, 4)), batch_norm(), first=conv(**bare)),
    "dropout": lambda: straight(layers.Dropout(0.5), batch_norm(), first=conv(**bare)),
    "through a layer": lambda: straight(layers.ReLU(), layers.Conv2D(3, 3), batch_norm(), first=conv(**bare)),
    "a bias through a layer": lambda: straight(layers.Conv2D(3, 3), batch_norm()),
    "depthwise": lambda: straight(batch_norm(), first=layers.DepthwiseConv2D(3, name="k")),
    "dense": lambda: straight(batch_norm(), first=layers.Dense(5, name="k")),
    "layer norm": lambda: straight(layers.LayerNormalization(), first=conv(**bare)),
    "RMS norm": lambda: straight(layers.RMSNormalization(), first=conv(**bare)),
    "unit norm": lambda: straight(layers.UnitNormalization(), first=conv(**bare)),
    "groups": lambda: straight(layers.GroupNormalization(2), first=conv(**bare)),
    "groups of one channel, bias": lambda: straight(layers.GroupNormalization(-1)),
    "layer norm over places, bias": lambda: straight(layers.LayerNormalization([1, 2])),
    "spectral norm": lambda: straight(first=layers.SpectralNormalization(conv())),
    "each frame": lambda: frames(layers.TimeDistributed(conv()), batch_norm()),
    "frozen norm, then one that works": lambda: straight(batch_norm(trainable=False), batch_norm()),
    "concatenated with another, by channel": lambda: branches(
        layers.Concatenate(), batch_norm(), shared=False
    ),
    "concatenated with another, by group": lambda: branches(
        layers.Concatenate(), layers.GroupNormalization(2), shared=False
    ),
    "concatenated with itself": lambda: branches(
        layers.Concatenate(), layers.LayerNormalization(), shared=True
    ),
    "added to itself": lambda: branches(layers.Add(), layers.LayerNormalization(), shared=True),
    "times another": lambda: branches(layers.Multiply(), batch_norm(), shared=False),
    "the larger of itself": lambda: branches(layers.Maximum(), batch_norm(), shared=True),
}
BOUND: dict[str, Callable[[], keras.Model]] = {
    "no norm, ReLU all the way": lambda: straight(layers.ReLU(), layers.Conv2D(3, 3)),
    "bias and ReLU": lambda: straight(layers.ReLU(), batch_norm()),
    "bias and padding": lambda: straight(layers.ZeroPadding2D(), batch_norm()),
    "a bias through a padded layer": lambda: straight(conv("second"), batch_norm()),
    "bias and layer norm": lambda: straight(layers.LayerNormalization()),
    "bias and groups": lambda: straight(layers.GroupNormalization(2)),
    "sigmoid": lambda: straight(batch_norm(), first=conv(**bare, activation="sigmoid")),
    "clipped": lambda: straight(layers.ReLU(max_value=50.0), batch_norm(), first=conv(**bare)),
    "a threshold": lambda: straight(layers.ReLU(threshold=50.0), batch_norm(), first=conv(**bare)),
    "an offset and ReLU": lambda: straight(
        layers.Rescaling(1.0, offset=3.0), layers.ReLU(), batch_norm(), first=conv(**bare)
    ),
    "a frozen norm": lambda: straight(batch_norm(trainable=False)),
    "concatenated with another, over all": lambda: branches(
        layers.Concatenate(), layers.LayerNormalization(), shared=False
    ),
    "concatenated with another, in one group": lambda: branches(
        layers.Concatenate(), layers.GroupNormalization(1), shared=False
    ),
    "added to another": lambda: branches(layers.Add(), batch_norm(), shared=False),
    "the larger of two": lambda: branches(layers.Maximum(), batch_norm(), shared=False),
}


@pytest.mark.parametrize("name", FREE)
def test_what_scales_along_until_a_norm_undoes_it_is_free(name: str) -> None:
    assert "k" in {path.split("/")[-2] for path in check(FREE[name]())}


@pytest.mark.parametrize("name", BOUND)
def test_what_does_not_scale_along_is_bound(name: str) -> None:
    assert "k" not in {path.split("/")[-2] for path in check(BOUND[name]())}


def test_a_branch_without_a_norm_binds() -> None:
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="both")(inputs)
    for join in (layers.Concatenate(), layers.Add()):
        assert found(keras.Model(inputs, join([layers.BatchNormalization()(x), x]))) == set()
    assert found(keras.Model(inputs, [layers.BatchNormalization()(x), x])) == set()
    assert found(keras.Model(inputs, layers.BatchNormalization()(x))) == {"both/kernel"}


def test_a_kernel_used_twice_is_free_where_both_uses_are() -> None:
    inputs = keras.Input((4,))
    dense = layers.Dense(4, use_bias=False, name="k")
    twice = layers.BatchNormalization()(dense(layers.ReLU()(dense(inputs))))
    assert check(ended(layers.Activation("tanh")(twice), inputs)) == {"k/kernel"}
    once = layers.BatchNormalization()(dense(inputs))
    assert found(keras.Model(inputs, layers.Concatenate()([once, dense(once)]))) == set()


def test_a_norm_that_is_called_as_in_inference_is_none() -> None:
    inputs = keras.Input((4,))
    norm = layers.BatchNormalization()
    assert found(keras.Model(inputs, norm(layers.Dense(3)(inputs), training=False))) == set()
    inner = keras.Model(inputs, layers.BatchNormalization()(layers.Dense(3, name="k")(inputs)))
    assert found(keras.Model(inputs, inner(inputs))) == {"k/kernel"}
    assert found(keras.Model(inputs, inner(inputs, training=False))) == set()


def test_what_the_loss_sees_of_it_binds() -> None:
    inputs = keras.Input((4,))
    dense = layers.Dense(3, activity_regularizer="l2")
    assert found(keras.Model(inputs, layers.BatchNormalization()(dense(inputs)))) == set()


def test_adapters_bind_the_kernel_beside_them() -> None:
    dense = layers.Dense(3, name="k")
    model = keras.Sequential([keras.Input((4,)), dense, layers.BatchNormalization()], name="m")
    assert found(model) == {"m/k/kernel"}
    dense.enable_lora(2)
    assert found(model) == set()


def test_operations_of_keras_scale_along_too() -> None:
    inputs = image()
    x = keras.ops.relu(conv(**bare)(inputs)) * 2.0
    x = keras.ops.reshape(keras.ops.transpose(x[:, 1:], (0, 2, 1, 3)), (-1, 56, 4))
    x = layers.BatchNormalization()(keras.ops.mean(x, axis=1))
    assert check(ended(layers.Activation("tanh")(x), inputs)) == {"k/kernel"}
    bent = keras.ops.erf(layers.Dense(3, name="bent")(inputs)) + 1.0
    assert found(keras.Model(inputs, layers.BatchNormalization()(bent))) == set()


# ---- Custom layers and models ------------------------------------------------------------------------------


class Block(layers.Layer):
    """Layers of Keras in a layer of somebody's own."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inside, self.norm = layers.Dense(4, name="inside"), layers.BatchNormalization()
        self.step = self.add_weight(shape=(), trainable=False, initializer="zeros", name="step")

    def build(self, shape: tuple) -> None:
        self.inside.build(shape)
        self.norm.build((*shape[:-1], 4))

    def call(self, x: Any) -> Any:
        self.step.assign(self.step + 1)
        return keras.ops.relu(self.norm(self.inside(x)))


class Own(layers.Layer):
    """A kernel of its own, that is used, or looked at in some other way too."""

    def __init__(self, reads: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.reads = reads

    def build(self, shape: tuple) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 4))

    def call(self, x: Any) -> Any:
        y = keras.ops.matmul(x, self.kernel)
        return y + keras.ops.sum(keras.ops.square(self.kernel)) if self.reads else y


class Subclassed(keras.Model):
    """A model with a `call` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = Block(name="block"), layers.Dense(2, name="head")

    def call(self, x: Any) -> Any:
        return self.head(self.block(x))


@pytest.mark.backends
def test_custom_layers_are_looked_into_and_left_as_they_were() -> None:
    inputs = keras.Input((4,))
    block = Block(name="block")
    model = ended(block(inputs), inputs)
    counts = [len(layer._inbound_nodes) for layer in layers_of(model)]
    before = by_hand.arrays(model)
    assert found(model) == {"block/inside/kernel"}
    assert [len(layer._inbound_nodes) for layer in layers_of(model)] == counts
    assert all(np.array_equal(before[path], value) for path, value in by_hand.arrays(model).items())
    assert check(model) == {"block/inside/kernel"}


def test_a_kernel_of_a_custom_layer_is_followed_where_all_that_is_done_with_it_can_be_seen() -> None:
    for reads, expected in ((False, {"own/kernel"}), (True, set())):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.BatchNormalization()(Own(reads, name="own")(inputs)))
        assert found(model) == expected


def test_a_model_with_a_call_of_its_own_is_looked_into() -> None:
    model = Subclassed()
    model(np.zeros((2, 4), "float32"))
    assert {path.removeprefix("subclassed/") for path in found(model)} == {"block/inside/kernel"}
    inputs = keras.Input((4,))
    assert len(found(keras.Model(inputs, Subclassed()(inputs)))) == 1


def test_of_what_cannot_be_looked_into_nothing_is_known() -> None:
    class Numbers(Block):
        def call(self, x: Any) -> Any:
            if isinstance(x, keras.KerasTensor):
                raise RuntimeError("no symbolic tensors, please")
            return super().call(x)

        def compute_output_shape(self, shape: tuple) -> tuple:
            return (*shape[:-1], 4)

    inputs = keras.Input((4,))
    assert found(keras.Model(inputs, Numbers()(inputs))) == set()


# ---- Whole models ------------------------------------------------------------------------------------------


@pytest.fixture
def free_memory() -> Iterator[None]:
    yield
    keras.utils.clear_session()


def logits(name: str) -> keras.Model:
    """A model of `keras.applications`, whose answers no softmax evens out."""
    side = test_contract.SMALLEST_INPUT.get(name, 32)
    kwargs = {"weights": None, "input_shape": (side, side, 3), "classes": 5, "classifier_activation": None}
    return getattr(keras.applications, name)(**kwargs)


QUICK = ("MobileNetV2",)
SLOW = ("EfficientNetB0",)
APPLICATIONS = [
    pytest.param(name, marks=[] if name in QUICK else more_of_the_same(name in SLOW))
    for name in test_contract.APPLICATIONS
]
# How many kernels of each family no normalisation follows: by its papers' figures.
UNNORMALISED = {
    "MobileNetV2": 1,  # the classifier
    "ResNet50": 1,
    "DenseNet121": 1,
    "InceptionV3": 1,
    "Xception": 1,
    "NASNetMobile": 1,
    "EfficientNetB0": 2 * 16 + 1,  # two in every squeeze and excitation
    "MobileNetV3Small": 2 * 9 + 2,  # and the layer before the classifier
    "VGG16": 16,
}


@pytest.mark.sweep_elsewhere
@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications_by_scaling(name: str) -> None:
    model = logits(name)
    free = check(model, most=6 if name in test_contract.THROUGH_A_FILE else 1)  # one of each architecture
    if name in UNNORMALISED:
        kernels = [w.path for w in weights_of(model) if w.role not in NO_KERNELS]
        assert len(kernels) - len(free) == UNNORMALISED[name]


@pytest.mark.skipif(importlib.util.find_spec("keras_hub") is None, reason="keras-hub is not installed")
@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=more_of_the_same(n in ("ResNet", "CSPNet", "ViT"))) for n in test_keras_hub.CASES],
)
def test_keras_hub_by_scaling(name: str) -> None:
    free = check(test_keras_hub.CASES[name].build(), most=6, largest=1.0)
    convolutional = ("ResNet", "DenseNet", "EfficientNet", "MobileNet", "CSPNet")
    assert bool(free) or not name.startswith(convolutional)


@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=more_of_the_same(name in test_contract.LIKE_NO_OTHER))
        for name in zoo.list_models()
        if name not in test_contract.BETWEEN
    ],
)
def test_the_zoo_by_scaling(name: str) -> None:
    video = zoo.find(name).task == "video"
    check(zoo.build(name, (3, 32, 32, 3) if video else (32, 32, 3), None if video else 4), most=3)


def test_what_is_found_in_our_own_models() -> None:
    model = build_cnn((8, 8, 1), num_classes=3, filters=(4, 8))
    kernels = {w.path for w in weights_of(model) if w.role not in NO_KERNELS}
    assert kernels - check(model) == {"logits/kernel"}
    assert found(build_cnn((8, 8, 1), num_classes=3, filters=(4,), batch_norm=False)) == set()


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_all_kernels_of_a_resnet_but_the_last_are_free() -> None:
    model = build_resnet((16, 16, 3), num_classes=4)
    kernels = {w.path for w in weights_of(model) if w.role not in NO_KERNELS}
    assert kernels - check(model, most=1) == {"logits/kernel"}
