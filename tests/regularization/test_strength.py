"""A live strength: what a step does with it, on every backend, and that nothing of it stays behind."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import LiveL2, Strength
from tests import by_hand
from tests.processes import output_of

RATE = 0.1  # of SGD
ON_JAX = keras.backend.backend() == "jax"
TRACES = keras.backend.backend() != "torch"  # PyTorch runs the Python of a layer in every step


class Counter(layers.Layer):
    """Counts how often its Python runs: once a trace where steps are compiled."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.calls = [0]

    def call(self, x: Any) -> Any:
        self.calls[0] += 1
        return x


def counted(**kwargs: Any) -> tuple[keras.Model, Counter]:
    """A compiled model whose data loss has no gradient on zeros, so that only the penalty moves weights."""
    counter = Counter()
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="d")(counter(inputs)))
    model.compile(keras.optimizers.SGD(RATE), "mse", **kwargs)
    return by_hand.randomise(model), counter


def zeros(steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((2 * steps, 3), "float32"), np.zeros((2 * steps, 2), "float32")


def kernel(model: keras.Model, name: str = "d/kernel") -> np.ndarray:
    return by_hand.arrays(model)[name]


def on_batch_begin(action: Callable[[int], None]) -> keras.callbacks.Callback:
    return keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: action(batch))


# ---- The number --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_strength_that_is_no_finite_number_above_zero_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=rf"`value` must be a finite number >= 0, got value={value}"):
        Strength(value)
    strength = Strength(1e-3)
    with pytest.raises(ValueError, match="`value` must be a finite number >= 0"):
        strength.assign(value)
    assert strength.value == 1e-3


@pytest.mark.parametrize("value", ["1e-4", None, True, [1e-4], b"1", 1j, np.ones(2)])
def test_a_strength_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"`value` must be a number, got value="):
        Strength(value)


@pytest.mark.backends
@pytest.mark.parametrize("value", [1, 0, 1e-4, np.float32(0.5), np.array(0.25)])
def test_any_real_number_is_taken(value: Any) -> None:
    strength = Strength(value)
    assert strength.value == float(strength) == float(value)
    assert float(keras.ops.convert_to_numpy(strength.variable.value)) == np.float32(value)


def test_a_strength_prints_and_copies_as_the_number_it_has() -> None:
    strength = Strength(1e-3)
    strength.assign(2e-3)
    assert repr(strength) == "Strength(0.002)"
    for twin in (pickle.loads(pickle.dumps(strength)), copy.deepcopy(strength)):
        assert twin.value == 2e-3
        twin.assign(1.0)
        assert strength.value == 2e-3


def test_its_regularizer_is_keras_own_to_whoever_asks() -> None:
    strength = Strength(1e-3)
    plain, mixed = LiveL2(strength, 0.5), LiveL2(strength, 0.5, l1=1e-4)
    strength.assign(2e-3)
    assert isinstance(plain, keras.regularizers.L2)
    assert isinstance(mixed, keras.regularizers.L1L2)
    assert keras.regularizers.serialize(plain) == keras.regularizers.serialize(keras.regularizers.L2(1e-3))
    assert keras.regularizers.serialize(mixed) == keras.regularizers.serialize(
        keras.regularizers.L1L2(1e-4, 1e-3)
    )
    for twin in (copy.deepcopy(mixed), pickle.loads(pickle.dumps(mixed))):
        assert type(twin) is keras.regularizers.L1L2
        assert (twin.l1, twin.l2) == (1e-4, 1e-3)


# ---- Steps -------------------------------------------------------------------------------------------------


@pytest.mark.backends
def test_an_assigned_strength_counts_in_the_next_step_without_a_retrace() -> None:
    model, counter = counted()
    strength = Strength(0.01)
    L2Policy(strength).apply(model)
    expected = kernel(model)
    traced = None
    for value in (0.01, 0.2, 0.0, 0.05):
        strength.assign(value)
        model.fit(*zeros(), batch_size=2, verbose=0)
        traced = traced or counter.calls[0]
        expected = expected * (1 - 2 * RATE * value)
        np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)
    assert counter.calls[0] == traced or not TRACES


@pytest.mark.backends
def test_a_strength_assigned_by_a_callback_counts_in_the_next_step_of_the_same_epoch() -> None:
    model, counter = counted()
    strength = Strength(0.0)
    L2Policy(strength).apply(model)
    model.fit(*zeros(), batch_size=2, verbose=0)
    expected, traced = kernel(model), counter.calls[0]
    values = [0.3, 0.0, 0.1, 0.2, 0.05]
    assign = on_batch_begin(lambda batch: strength.assign(values[batch]))
    model.fit(*zeros(5), batch_size=2, verbose=0, callbacks=[assign])
    for value in values:
        expected = expected * (1 - 2 * RATE * value)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)
    assert counter.calls[0] == traced or not TRACES


@pytest.mark.backends
def test_train_on_batch_and_evaluate_see_the_new_strength() -> None:
    model, _ = counted()
    strength = Strength(0.1)
    L2Policy(strength).apply(model)
    for value in (0.1, 0.4):
        strength.assign(value)
        expected = by_hand.penalty(model, ["d/kernel"], value)
        assert model.evaluate(*zeros(), verbose=0) == pytest.approx(expected, rel=1e-6)
        assert float(model.train_on_batch(*zeros())) == pytest.approx(expected, rel=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("policy", "factor"),
    [
        (lambda s: L2Policy(s, convention="pytorch"), 0.5),
        (lambda s: L2Policy(s, convention="mean"), 0.5 / 6),  # 3 x 2 weights
        (lambda s: L2Policy(s, multipliers={"kernel": 3}), 3.0),
        (lambda s: L2Policy(s, convention="pytorch", overrides={"d/*": 0.25}), 0.125),
    ],
)
def test_a_live_strength_goes_through_convention_and_factors(
    policy: Callable[[Strength], L2Policy], factor: float
) -> None:
    model, _ = counted()
    strength = Strength(0.1)
    policy(strength).apply(model)
    strength.assign(0.3)
    expected = kernel(model) * (1 - 2 * RATE * 0.3 * factor)
    model.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)


@pytest.mark.backends
def test_l1_stays_while_the_strength_moves() -> None:
    model, _ = counted()
    strength = Strength(0.1)
    L2Policy(strength, l1=0.02, multipliers={"kernel": 2}).apply(model)
    strength.assign(0.3)
    before = kernel(model)
    assert by_hand.added_loss(model) == pytest.approx(
        by_hand.penalty(model, ["d/kernel"], 0.6, l1=0.04), rel=1e-6
    )
    model.fit(*zeros(), verbose=0)
    expected = before - RATE * (2 * 0.6 * before + 0.04 * np.sign(before))
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-5)


def test_xla_sees_it_too() -> None:
    model, _ = counted(jit_compile=True)
    strength = Strength(0.0)
    L2Policy(strength).apply(model)
    model.fit(*zeros(), verbose=0)
    strength.assign(0.25)
    expected = kernel(model) * (1 - 2 * RATE * 0.25)
    model.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)


@pytest.mark.backends
def test_a_small_strength_does_not_vanish_in_mixed_precision() -> None:
    inputs = keras.Input((3,))
    outputs = layers.Dense(2, use_bias=False, dtype="mixed_float16", name="d")(inputs)
    model = by_hand.randomise(keras.Model(inputs, outputs))
    model.compile(keras.optimizers.SGD(RATE), "mse")
    L2Policy(Strength(1e-9)).apply(model)
    loss = model.evaluate(*zeros(), verbose=0)
    assert loss == pytest.approx(by_hand.penalty(model, ["d/kernel"], 1e-9), rel=1e-5)


@pytest.mark.backends
def test_a_small_strength_does_not_vanish_inside_a_float16_layer() -> None:
    penalty = LiveL2(Strength(1e-9), 1.0)

    class Asks(layers.Layer):
        def call(self, x: Any) -> Any:
            return penalty(keras.ops.ones((2,), "float32"))

    asked = keras.ops.convert_to_numpy(Asks(dtype="mixed_float16")(np.zeros((1, 1), "float16")))
    assert float(asked) == pytest.approx(2e-9, rel=1e-6)


# ---- Which models ------------------------------------------------------------------------------------------


def nested() -> tuple[keras.Model, keras.Model]:
    """An outer model around an inner one; both compiled."""
    inputs = keras.Input((3,))
    inner = keras.Model(inputs, layers.Dense(3, use_bias=False, name="d")(inputs))
    inputs = keras.Input((3,))
    outer = keras.Model(inputs, layers.Dense(2, use_bias=False, name="top")(inner(inputs)))
    by_hand.randomise(outer)
    for model in (inner, outer):
        model.compile(keras.optimizers.SGD(RATE), "mse")
    return inner, outer


@pytest.mark.backends
def test_applied_to_a_model_it_lives_in_every_model_around_it() -> None:
    inner, outer = nested()
    strength = Strength(0.0)
    L2Policy(strength).apply(inner)
    outer.fit(*zeros(), verbose=0)
    strength.assign(0.2)
    expected, top = kernel(outer) * (1 - 2 * RATE * 0.2), kernel(outer, "top/kernel")
    outer.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(outer), expected, rtol=1e-6)
    np.testing.assert_array_equal(kernel(outer, "top/kernel"), top)


@pytest.mark.backends
def test_it_follows_the_model_around_it_within_an_epoch() -> None:
    inner, outer = nested()
    strength = Strength(0.0)
    L2Policy(strength).apply(inner)
    strength.follow(outer)
    expected = kernel(outer) * (1 - 2 * RATE * 0.1) * (1 - 2 * RATE * 0.2)
    assign = on_batch_begin(lambda batch: strength.assign(0.1 * (batch + 1)))
    outer.fit(*zeros(2), batch_size=2, verbose=0, callbacks=[assign])
    np.testing.assert_allclose(kernel(outer), expected, rtol=1e-6)


@pytest.mark.backends
@pytest.mark.skipif(not ON_JAX, reason="only JAX takes the variables away during an epoch")
def test_jax_refuses_an_assignment_that_would_be_lost() -> None:
    inner, outer = nested()
    strength = Strength(0.1)
    L2Policy(strength).apply(inner)
    assign = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: strength.assign(0.2))
    with pytest.raises(RuntimeError, match=r"Call `strength.follow\(model\)` before fit"):
        outer.fit(*zeros(2), batch_size=2, verbose=0, callbacks=[assign])
    assert strength.value == 0.1


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize(
    "order",
    ["inner first", *(pytest.param(how, marks=pytest.mark.slow) for how in ("outer first", "outer only"))],
)
def test_a_model_and_the_one_around_it_may_share_a_strength(order: str) -> None:
    inner, outer = nested()
    strength = Strength(0.0)
    policy = L2Policy(strength)
    for model in {"inner first": (inner, outer), "outer first": (outer, inner)}.get(order, (outer,)):
        policy.apply(model)
    images, targets = zeros()[0], {outer: zeros()[1], inner: zeros()[0]}
    for model in (outer, inner):
        model.fit(images, targets[model], verbose=0)
    strength.assign(0.2)
    for model in (outer, inner):
        expected = kernel(outer) * (1 - 2 * RATE * 0.2)
        model.fit(images, targets[model], verbose=0)
        np.testing.assert_allclose(kernel(outer), expected, rtol=1e-6)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_it_lives_in_a_new_model_of_the_same_layers() -> None:
    inputs = keras.Input((3,))
    features = layers.Dense(2, use_bias=False, name="d")(inputs)
    whole = by_hand.randomise(keras.Model(inputs, layers.Dense(5)(features)))
    strength = Strength(0.0)
    L2Policy(strength).apply(whole)
    part = keras.Model(inputs, features)
    part.compile(keras.optimizers.SGD(RATE), "mse")
    part.fit(*zeros(), verbose=0)
    strength.assign(0.2)
    expected = kernel(part) * (1 - 2 * RATE * 0.2)
    part.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(part), expected, rtol=1e-6)


class Residual(keras.Model):
    """Has a weight of its own and a layer that has one."""

    def __init__(self) -> None:
        super().__init__(name="residual")
        self.dense = layers.Dense(3, use_bias=False, name="d")

    def build(self, shape: tuple) -> None:
        self.matrix = self.add_weight(name="matrix", shape=(3, 2))
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x + self.dense(x), self.matrix)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_layers_with_weights_inside_layers_with_weights() -> None:
    model = Residual()
    model.build((None, 3))
    by_hand.randomise(model)
    model.compile(keras.optimizers.SGD(RATE), "mse")
    strength = Strength(0.0)
    L2Policy(strength).apply(model)
    assert len({id(v) for v in model.variables}) == len(model.variables)  # JAX gives each buffer away once
    model.fit(*zeros(), verbose=0)
    strength.assign(0.2)
    before = by_hand.arrays(model)
    model.fit(*zeros(), verbose=0)
    for path, value in by_hand.arrays(model).items():
        np.testing.assert_allclose(value, before[path] * (1 - 2 * RATE * 0.2), rtol=1e-6)


# ---- What stays --------------------------------------------------------------------------------------------


@pytest.mark.backends
def test_it_is_no_weight_of_the_model(tmp_path: Path) -> None:
    model, _ = counted()
    weights, size = [w.path for w in model.weights], model.count_params()
    L2Policy(Strength(0.1)).apply(model)
    assert [w.path for w in model.weights] == weights
    assert model.count_params() == size
    model.save_weights(tmp_path / "some.weights.h5")
    other, _ = counted()
    other.load_weights(tmp_path / "some.weights.h5")


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("how", ["another policy", "strength 0", "remove", "on the outer model"])
def test_nothing_of_it_stays_when_it_is_replaced(how: str) -> None:
    inner, outer = nested()
    before = [v.path for v in outer.variables]
    strength = Strength(0.3)
    L2Policy(strength).apply(inner)
    replace = {
        "another policy": lambda: L2Policy(0.1).apply(inner),
        "strength 0": lambda: L2Policy(0.0).apply(inner),
        "remove": lambda: L2Policy.remove(inner),
        "on the outer model": lambda: L2Policy(0.1).apply(outer),
    }
    replace[how]()
    assert [v.path for v in outer.variables] == before
    rate = 0.0 if how in ("strength 0", "remove") else 0.1
    expected = kernel(outer) * (1 - 2 * RATE * rate)
    strength.assign(0.9)
    outer.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(outer), expected, rtol=1e-6)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_one_live_strength_replaces_another() -> None:
    model, _ = counted()
    old, new = Strength(0.5), Strength(0.0)
    L2Policy(old).apply(model)
    L2Policy(new).apply(model)
    model.fit(*zeros(), verbose=0)
    new.assign(0.1)
    old.assign(0.7)
    expected = kernel(model) * (1 - 2 * RATE * 0.1)
    model.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)


def regularizers_in(path: Path) -> list[tuple[str, dict[str, float]]]:
    """Class and config of each regularizer that the file names, which names nothing of ours."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read("config.json").decode()
    assert "l2zoo" not in text
    found: list[tuple[str, dict[str, float]]] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("module") == "keras.regularizers":
                found.append((value["class_name"], value["config"]))
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(json.loads(text))
    return found


@pytest.mark.backends
def test_a_saved_model_holds_a_plain_keras_regularizer_with_the_number_of_the_moment(tmp_path: Path) -> None:
    _, model = nested()
    strength = Strength(0.1)
    L2Policy(strength, convention="pytorch").apply(model)
    strength.assign(0.5)
    model.save(tmp_path / "model.keras")
    assert regularizers_in(tmp_path / "model.keras") == [("L2", {"l2": 0.25})] * 2
    L2Policy(strength, l1=0.125).apply(model)
    model.save(tmp_path / "model.keras")
    assert regularizers_in(tmp_path / "model.keras") == [("L1L2", {"l1": 0.125, "l2": 0.5})] * 2
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert by_hand.added_loss(again) == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    assert {type(w.regularizer) for w in again.trainable_weights} == {keras.regularizers.L1L2}


@pytest.mark.slow
def test_a_saved_model_loads_where_l2zoo_cannot_be_imported(tmp_path: Path) -> None:
    _, model = nested()
    L2Policy(Strength(0.3), l1=0.1).apply(model)
    model.fit(*zeros(), verbose=0)
    model.save(tmp_path / "model.keras")
    program = (
        "import sys; sys.modules['l2zoo'] = None\n"
        "import keras\n"
        f"model = keras.saving.load_model({str(tmp_path / 'model.keras')!r})\n"
        "print(len(model.losses), float(sum(model.losses)))\n"
    )
    count, penalty = output_of([sys.executable, "-c", program]).split()
    assert count == "2"
    assert float(penalty) == pytest.approx(by_hand.added_loss(model), rel=1e-6)
