"""Weight decay by the optimizer: exactly the weights that the penalty would reach, also after reload."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from l2zoo.regularization.policy import L2Policy
from tests import by_hand
from tests.processes import output_of

RATE, DECAY = 0.1, 0.3
SHRUNK = 1 - RATE * DECAY
POLICY = L2Policy(DECAY, decoupled=True)
# All of Keras's that apply a decay as such; with a gradient of 0 they do nothing else.
OPTIMIZERS = (
    "SGD",
    "Adam",
    "AdamW",
    "Lion",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Adamax",
    "Nadam",
    "Lamb",
    "Adafactor",
)


def functional(name: str = "net") -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    x = layers.SeparableConv2D(3, 2, name="separable")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(3, 2, name="conv")(x)
    x = layers.PReLU(name="slope")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x), name=name)


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 2, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="head"),
        ],
        name="row",
    )


def nested() -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    x = sequential()(inputs)
    return keras.Model(inputs, layers.Dense(2, name="top")(x), name="outer")


def unnamed() -> keras.Model:
    """A subclassed model whose layers get other names each time it is made."""
    model = Unnamed()
    model(np.zeros((1, 6, 6, 2), "float32"))
    return model


@keras.saving.register_keras_serializable("l2zoo_tests")
class Unnamed(keras.Model):
    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(3, 2)
        self.norm = layers.BatchNormalization()
        self.pool = layers.GlobalAveragePooling2D()
        self.first, self.second = layers.Dense(3, use_bias=False), layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.second(self.first(self.pool(self.norm(self.conv(x), training=training))))


MODELS = {"functional": functional, "sequential": sequential, "nested": nested, "unnamed": unnamed}
KERNEL_NAMES = ("kernel", "depthwise_kernel", "pointwise_kernel")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(8, 6, 6, 2)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")


def step_without_gradient(model: keras.Model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The trainable weights before and after a step in which every example weighs 0."""
    x, y = data()
    before = [keras.ops.convert_to_numpy(w.value) for w in model.trainable_weights]
    model.fit(x, y, sample_weight=np.zeros(8, "float32"), batch_size=8, verbose=0)
    return before, [keras.ops.convert_to_numpy(w.value) for w in model.trainable_weights]


def compiled(
    make: Callable[[], keras.Model], optimizer: Any, policy: L2Policy = POLICY, *, eager: bool = True
) -> keras.Model:
    """A model with random weights; eager, for to trace a step takes longer than to run it."""
    model = by_hand.randomise(make())
    model.compile(policy.optimizer(optimizer, model), "mse", run_eagerly=eager)
    return model


def assert_kernels_alone_decay(model: keras.Model, factor: float = SHRUNK) -> None:
    before, after = step_without_gradient(model)
    for weight, old, new in zip(model.trainable_weights, before, after, strict=True):
        expected = old * factor if weight.name in KERNEL_NAMES else old
        np.testing.assert_allclose(new, expected, rtol=1e-6, err_msg=weight.path)


# ---- Which weights -----------------------------------------------------------------------------------------


def test_every_optimizer_of_keras_is_either_tested_or_refused() -> None:
    refused = {"Optimizer", "Muon", "Ftrl", "ScheduleFreeAdamW", "LossScaleOptimizer", "MultiOptimizer"}
    kinds = {
        n for n, c in vars(optimizers).items() if isinstance(c, type) and issubclass(c, optimizers.Optimizer)
    }
    assert kinds - refused == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_exactly_the_kernels_decay_by_rate_times_decay(name: str) -> None:
    assert_kernels_alone_decay(compiled(functional, getattr(optimizers, name)(RATE)))


@pytest.mark.backends
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_exactly_the_kernels_decay_on_every_backend(name: str) -> None:
    model = compiled(sequential, getattr(optimizers, name)(RATE), eager=False)
    assert_kernels_alone_decay(model)
    assert_kernels_alone_decay(model)


def test_the_weights_are_those_of_the_penalty() -> None:
    choice: dict[str, Any] = {
        "multipliers": {"depthwise": 0, "bias": 1},
        "overrides": {"head/*": 0, "norm/gamma": 1},
    }
    model = compiled(functional, optimizers.SGD(RATE), L2Policy(DECAY, decoupled=True, **choice))
    before, after = step_without_gradient(model)
    moved = {w.path for w, a, b in zip(model.trainable_weights, before, after, strict=True) if (a != b).any()}
    by_person = {"separable/pointwise_kernel", "conv/kernel", "norm/gamma", "separable/bias", "conv/bias"}
    assert moved == by_person | {"slope/alpha"}  # PReLU's slopes have the role of a bias
    penalised = L2Policy(DECAY, **choice).apply(functional())
    assert moved == {w.path for w in penalised.trainable_weights if w.regularizer is not None}


def test_one_common_factor_scales_the_decay() -> None:
    policy = L2Policy(DECAY, decoupled=True, multipliers={"kernel": 0.5, "depthwise": 0.5})
    assert_kernels_alone_decay(compiled(functional, optimizers.SGD(RATE), policy), 1 - RATE * DECAY / 2)


@pytest.mark.parametrize("convention", ["keras", "pytorch"])
def test_the_number_is_the_optimizers_in_either_convention(convention: str) -> None:
    policy = L2Policy(DECAY, decoupled=True, convention=convention)
    assert policy.optimizer("adamw", functional()).weight_decay == DECAY


def test_strength_0_decays_nothing_not_even_by_adamws_default() -> None:
    model = compiled(functional, optimizers.AdamW(RATE), L2Policy(0, decoupled=True))
    assert_kernels_alone_decay(model, 1.0)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_where_no_weight_that_trains_is_reached_nothing_decays(tmp_path: Path) -> None:
    policy = L2Policy(DECAY, decoupled=True, overrides={"*": 0})
    model = compiled(sequential, optimizers.AdamW(RATE), policy)
    assert_kernels_alone_decay(model, 1.0)
    assert_kernels_alone_decay(by_hand.reloaded(model, tmp_path), 1.0)


def test_a_learning_rate_schedule_moves_the_decay_with_it() -> None:
    rate = optimizers.schedules.PiecewiseConstantDecay([1], [RATE, RATE / 4])
    model = compiled(sequential, optimizers.SGD(rate))
    for factor in (1 - RATE * DECAY, 1 - RATE * DECAY, 1 - RATE / 4 * DECAY):
        assert_kernels_alone_decay(model, factor)


def test_frozen_weights_stay_and_decay_when_they_train_again() -> None:
    def make() -> keras.Model:
        model = functional()
        model.get_layer("conv").trainable = False
        return model

    model = compiled(make, optimizers.AdamW(RATE))
    frozen = by_hand.arrays(model)["conv/kernel"]
    assert_kernels_alone_decay(model)
    np.testing.assert_array_equal(by_hand.arrays(model)["conv/kernel"], frozen)
    model.get_layer("conv").trainable = True
    again = optimizers.deserialize(optimizers.serialize(model.optimizer))
    model.compile(again, "mse")
    assert_kernels_alone_decay(model)
    assert (by_hand.arrays(model)["conv/kernel"] != frozen).all()


def test_mixed_precision_wraps_it() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(sequential, optimizers.SGD(RATE))
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert_kernels_alone_decay(model)


@pytest.mark.slow
def test_xla_decays_the_same() -> None:
    model = compiled(sequential, optimizers.AdamW(RATE))
    model.compile(model.optimizer, "mse", jit_compile=True)
    assert_kernels_alone_decay(model)


def test_applied_it_takes_an_earlier_penalty_off() -> None:
    model = L2Policy(1e-3).apply(functional())
    POLICY.apply(model)
    assert model.losses == []


# ---- Saved and loaded --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("functional", True),
        # Not frozen: Keras itself forgets what was, inside a subclassed model.
        pytest.param("unnamed", False, marks=pytest.mark.slow),
        pytest.param("functional", False, marks=pytest.mark.slow),
        *(
            pytest.param(n, f, marks=pytest.mark.slow)
            for n in ("sequential", "nested")
            for f in (False, True)
        ),
    ],
)
def test_after_reload_training_goes_on_as_if_uninterrupted(name: str, frozen: bool, tmp_path: Path) -> None:
    x, y = data()

    def make() -> keras.Model:
        model = MODELS[name]()
        next(
            layer for layer in model._flatten_layers() if isinstance(layer, layers.Conv2D)
        ).trainable = not frozen
        return model

    model = compiled(make, optimizers.AdamW(0.01))
    model.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    again = by_hand.reloaded(model, tmp_path)
    for one in (model, again):
        one.fit(x, y, batch_size=4, epochs=2, verbose=0, shuffle=False)
    for weight, twin in zip(model.weights, again.weights, strict=True):
        np.testing.assert_allclose(twin.numpy(), weight.numpy(), rtol=1e-5, atol=1e-7, err_msg=weight.path)


def branches() -> keras.Model:
    """Two inner models whose weights have the same paths after a reload, and a frozen head."""
    inputs = keras.Input((6, 6, 2))
    left, right = (
        keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(2, 2, name="conv")], name=name)
        for name in ("left", "right")
    )
    x = layers.GlobalAveragePooling2D()(layers.Add(name="add")([left(inputs), right(inputs)]))
    return keras.Model(inputs, layers.Dense(2, name="head", trainable=False)(x))


def test_weights_that_cannot_be_told_apart_by_path_after_reload_are_by_order(tmp_path: Path) -> None:
    policy = L2Policy(DECAY, decoupled=True, overrides={"left/*": 0})
    again = by_hand.reloaded(compiled(branches, optimizers.SGD(RATE), policy), tmp_path)
    assert [w.path for w in again.trainable_weights] == ["conv/kernel", "conv/bias"] * 2
    before, after = step_without_gradient(again)
    ratios = [float((new / old).mean()) for new, old in zip(after, before, strict=True)]
    assert ratios == pytest.approx([1, 1, SHRUNK, 1], rel=1e-5)


def test_a_model_saved_before_its_first_step_decays_the_same(tmp_path: Path) -> None:
    def frozen() -> keras.Model:
        model = unnamed()
        model.first.trainable = False
        return model

    for make in (unnamed, frozen):
        assert_kernels_alone_decay(by_hand.reloaded(compiled(make, optimizers.SGD(RATE)), tmp_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("trained", [False, True])
def test_a_model_from_an_hdf5_file_decays_the_same(trained: bool, tmp_path: Path) -> None:
    model = by_hand.randomise(functional())
    # Of a loss by its word Keras makes a metric that it cannot load from such a file.
    model.compile(POLICY.optimizer(optimizers.SGD(RATE), model), keras.losses.MeanSquaredError())
    if trained:
        x = np.zeros((2, 6, 6, 2), "float32")
        model.fit(x, model.predict(x, verbose=0), verbose=0)
    model.save(tmp_path / "old.h5")
    again = keras.saving.load_model(tmp_path / "old.h5")
    assert again.optimizer.weight_decay == DECAY
    assert_kernels_alone_decay(again)


@pytest.mark.backends
def test_a_reloaded_model_decays_the_same_on_every_backend(tmp_path: Path) -> None:
    again = by_hand.reloaded(compiled(nested, optimizers.SGD(RATE), eager=False), tmp_path)
    assert type(again.optimizer).__name__ == "SelectiveSGD"
    assert_kernels_alone_decay(again)


@pytest.mark.slow
@pytest.mark.parametrize(
    "order", ["import l2zoo, keras", pytest.param("import keras, l2zoo", marks=pytest.mark.sweep)]
)
def test_a_fresh_process_needs_only_to_import_l2zoo(order: str, tmp_path: Path) -> None:
    paths = []
    for name in ("sequential", "functional", "nested"):
        paths.append(str(tmp_path / f"{name}.keras"))
        compiled(MODELS[name], optimizers.AdamW(RATE)).save(paths[-1])
    program = f"""
{order}
import json, numpy as np
found = []
for path in {paths!r}:
    model = keras.saving.load_model(path)
    before = [w.numpy() for w in model.trainable_weights]
    x, y = np.ones((8, 6, 6, 2), "float32"), np.ones((8, 2), "float32")
    model.fit(x, y, sample_weight=np.zeros(8, "float32"), batch_size=8, verbose=0)
    ratios = [(w.numpy() / b) for w, b in zip(model.trainable_weights, before)]
    found.append([[w.name, float(r.min()), float(r.max())] for w, r in zip(model.trainable_weights, ratios)])
print(json.dumps(found))
"""
    printed = output_of([sys.executable, "-c", program])
    for model in json.loads(printed.splitlines()[-1]):
        assert {name for name, *_ in model} >= {"kernel", "bias", "gamma", "beta"}
        for name, *ratios in model:
            assert ratios == pytest.approx([SHRUNK if name in KERNEL_NAMES else 1.0] * 2, rel=1e-5)


# ---- The optimizer -----------------------------------------------------------------------------------------


def test_other_settings_stay() -> None:
    rate = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    given = optimizers.SGD(rate, momentum=0.9, nesterov=True, clipnorm=1.0, use_ema=True, name="mine")
    made = POLICY.optimizer(given, functional())
    assert isinstance(made, optimizers.SGD)
    config = {k: v for k, v in made.get_config().items() if k not in ("selection", "order", "weight_decay")}
    assert config == {k: v for k, v in given.get_config().items() if k != "weight_decay"}
    assert made.weight_decay == DECAY


@pytest.mark.parametrize(("name", "kind"), [("sgd", optimizers.SGD), ("adamw", optimizers.AdamW)])
def test_an_optimizer_may_be_named(name: str, kind: type) -> None:
    assert isinstance(POLICY.optimizer(name, functional()), kind)


def test_an_optimizer_that_was_made_so_can_be_given_again() -> None:
    model = functional()
    made = POLICY.optimizer("sgd", model)
    again = L2Policy(0.7, decoupled=True, overrides={"*": 0}).optimizer(made, model)
    assert again.choices(model.trainable_variables) == [False] * 10
    assert (made.weight_decay, again.weight_decay) == (DECAY, 0.0)
    assert made.choices(model.trainable_variables) == [
        w.name in KERNEL_NAMES for w in model.trainable_weights
    ]


def test_a_policy_of_the_loss_has_no_optimizer() -> None:
    with pytest.raises(ValueError, match=r"`optimizer\(\)` is for `decoupled=True`.*Use `apply\(model\)`"):
        L2Policy(1e-3).optimizer("sgd", functional())


def test_two_factors_are_more_than_an_optimizer_can_do() -> None:
    policy = L2Policy(1e-3, decoupled=True, multipliers={"depthwise": 0.5})
    with pytest.raises(ValueError, match=r"An optimizer has one weight decay, .* factors \[0\.5, 1\.0\]"):
        policy.optimizer("sgd", functional())


def test_a_used_optimizer_is_refused() -> None:
    model = functional()
    optimizer = optimizers.SGD()
    optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match=r"`optimizer` was used already .*Give a new one"):
        POLICY.optimizer(optimizer, model)


@pytest.mark.parametrize("optimizer", [optimizers.SGD(weight_decay=0.1), optimizers.AdamW(weight_decay=0.1)])
def test_a_weight_decay_of_its_own_is_refused_unless_it_is_the_same(optimizer: Any) -> None:
    with pytest.raises(
        ValueError, match=r"`optimizer` has weight_decay=0.1 of its own, the policy asks for 0.3"
    ):
        POLICY.optimizer(optimizer, functional())
    assert L2Policy(0.1, decoupled=True).optimizer(optimizer, functional()).weight_decay == 0.1


def test_optimizers_that_decay_in_other_ways_are_refused() -> None:
    class Mine(optimizers.SGD):
        pass

    others = [optimizers.Muon(), optimizers.Ftrl(), optimizers.LossScaleOptimizer(optimizers.SGD()), Mine()]
    if hasattr(optimizers, "ScheduleFreeAdamW"):  # Keras 3.10 has none
        others.append(optimizers.ScheduleFreeAdamW())
    for optimizer in others:
        with pytest.raises(
            TypeError, match=rf"one of Keras's \['Adadelta', .*got {type(optimizer).__name__}"
        ):
            POLICY.optimizer(optimizer, functional())


def test_an_optimizer_of_another_model_is_refused_at_the_first_step() -> None:
    model, other = sequential(), functional()
    other.compile(POLICY.optimizer("sgd", model), "mse")
    with pytest.raises(ValueError, match=r"was chosen for another model: it knows nothing of 'separable/"):
        other.fit(*data(), verbose=0)


def test_two_weights_of_one_path_are_told_apart(tmp_path: Path) -> None:
    def inner(layer: keras.layers.Layer) -> keras.Model:
        inputs = keras.Input((6, 6, 2))
        return keras.Model(inputs, layer(inputs))

    def make() -> keras.Model:
        inputs = keras.Input((6, 6, 2))
        x = inner(layers.Conv2D(2, 2, name="same"))(inputs)
        y = inner(layers.DepthwiseConv2D(2, name="same"))(inputs)
        return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Add()([x, y])))

    model = compiled(
        make, optimizers.SGD(RATE), L2Policy(DECAY, decoupled=True, multipliers={"depthwise": 0})
    )
    assert [w.path for w in model.trainable_weights] == ["same/kernel", "same/bias"] * 2
    for one in (model, by_hand.reloaded(model, tmp_path)):
        before, after = step_without_gradient(one)
        ratios = [float((new / old).mean()) for new, old in zip(after, before, strict=True)]
        assert ratios == pytest.approx([SHRUNK, 1, 1, 1], rel=1e-5)
