"""The policy: which number each weight gets, when it counts, what it refuses, and how it travels."""

from __future__ import annotations

import copy
import fnmatch
import json
import math
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from l2zoo.regularization.policy import DEFAULT_MULTIPLIERS, L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.regularization.weights import ROLES
from tests import by_hand

RATE = 0.1  # of SGD
KERNELS = ["conv/kernel", "depth/kernel", "head/kernel"]
ROLE_OF = {
    "conv/kernel": "kernel",
    "conv/bias": "bias",
    "depth/kernel": "depthwise",
    "depth/bias": "bias",
    "norm/gamma": "norm",
    "norm/beta": "norm",
    "head/kernel": "kernel",
    "head/bias": "bias",
}
PARAMETERS = (2 * 2 * 2 * 3 + 3) + (2 * 2 * 3 + 3) + 4 * 3 + (3 * 2 + 2)  # with the moving statistics


def cnn() -> keras.Model:
    """A convolution, a depthwise one, a norm and a head; every weight random."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 2, name="conv")(inputs)
    x = layers.DepthwiseConv2D(2, name="depth")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return by_hand.randomise(keras.Model(inputs, layers.Dense(2, name="head")(x), name="cnn"))


def linear(momentum: float = 0.0) -> keras.Model:
    """One kernel, compiled with SGD; on zeros its data loss has no gradient."""
    inputs = keras.Input((3,))
    model = by_hand.randomise(keras.Model(inputs, layers.Dense(2, use_bias=False, name="d")(inputs)))
    model.compile(keras.optimizers.SGD(RATE, momentum=momentum), "mse")
    return model


def zeros(steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((2 * steps, 3), "float32"), np.zeros((2 * steps, 2), "float32")


def kernel(model: keras.Model) -> np.ndarray:
    return by_hand.arrays(model)["d/kernel"]


# ---- Which weights, how strongly ---------------------------------------------------------------------------


def test_the_default_policy_is_a_ten_thousandth_on_kernels() -> None:
    model = cnn()
    assert L2Policy().apply(model) is model
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, KERNELS, 1e-4), rel=1e-6)
    assert len(model.losses) == 3


@pytest.mark.parametrize(
    ("policy", "lam"),
    [
        (L2Policy(1e-3), 1e-3),
        (L2Policy(1e-4, convention="pytorch"), 5e-5),  # He et al.'s 1e-4 is Keras's 5e-5
        (L2Policy(1.0, convention="mean"), 1.0 / (2 * PARAMETERS)),
    ],
)
def test_conventions(policy: L2Policy, lam: float) -> None:
    model = policy.apply(cnn())
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, KERNELS, lam), rel=1e-6)


def test_multipliers_are_factors_by_role() -> None:
    model = cnn()
    L2Policy(1e-3, multipliers={"depthwise": 0, "bias": 0.5, "norm": 2}).apply(model)
    expected = (
        by_hand.penalty(model, ["conv/kernel", "head/kernel"], 1e-3)
        + by_hand.penalty(model, ["conv/bias", "depth/bias", "head/bias"], 0.5e-3)
        + by_hand.penalty(model, ["norm/gamma", "norm/beta"], 2e-3)
    )
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)


def test_multipliers_of_recurrent_and_embedding_weights() -> None:
    inputs = keras.Input((4,), dtype="int32")
    x = layers.LSTM(3, name="lstm")(layers.Embedding(5, 2, name="words")(inputs))
    model = by_hand.randomise(keras.Model(inputs, x))
    L2Policy(1e-3, multipliers={"recurrent": 0.25, "embedding": 4}).apply(model)
    expected = (
        by_hand.penalty(model, ["lstm/lstm_cell/kernel"], 1e-3)
        + by_hand.penalty(model, ["lstm/lstm_cell/recurrent_kernel"], 0.25e-3)
        + by_hand.penalty(model, ["words/embeddings"], 4e-3)
    )
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)


def test_the_first_override_that_matches_wins_over_later_ones_and_the_role() -> None:
    model = cnn()
    overrides = {"conv/bias": 3, "conv/*": 0, "*/kernel": 0.5, "head/*": 7}
    L2Policy(1e-3, multipliers={"kernel": 100}, overrides=overrides).apply(model)
    expected = (
        by_hand.penalty(model, ["conv/bias"], 3e-3)
        + by_hand.penalty(model, ["depth/kernel", "head/kernel"], 0.5e-3)
        + by_hand.penalty(model, ["head/bias"], 7e-3)
    )
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)


def test_an_override_that_matches_nothing_is_an_error_that_lists_near_paths() -> None:
    model = cnn()
    with pytest.raises(
        ValueError, match=r"pattern 'heads/kernel' matches no weight. Near it: \['head/kernel'"
    ):
        L2Policy(1e-3, overrides={"*/bias": 0, "heads/kernel": 0}).apply(model)
    assert model.losses == []


def test_l1_is_added_in_keras_form_with_the_same_factors(tmp_path: Path) -> None:
    model = cnn()
    L2Policy(1e-3, convention="pytorch", l1=1e-2, multipliers={"depthwise": 0.5}).apply(model)
    expected = by_hand.penalty(model, ["conv/kernel", "head/kernel"], 0.5e-3, l1=1e-2) + by_hand.penalty(
        model, ["depth/kernel"], 0.25e-3, l1=0.5e-2
    )
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


def test_l1_alone() -> None:
    model = cnn()
    L2Policy(0.0, l1=1e-2).apply(model)
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, KERNELS, 0.0, l1=1e-2), rel=1e-6)


@pytest.mark.parametrize("policy", [L2Policy(0), L2Policy.of(None), L2Policy(1e-3, decoupled=True)])
def test_strength_0_and_decoupled_add_no_loss_at_all(policy: L2Policy) -> None:
    model = policy.apply(cnn())
    assert model.losses == []
    assert all(w.regularizer is None for w in model.weights)
    assert set(policy.coefficients(model).values()) == {0.0}
    assert float(policy.penalty(model)) == 0.0


def test_coefficients_are_lambda_by_path() -> None:
    policy = L2Policy(1e-3, convention="pytorch", overrides={"norm/gamma": 2})
    expected = dict.fromkeys(ROLE_OF, 0.0) | dict.fromkeys(KERNELS, 0.5e-3) | {"norm/gamma": 1e-3}
    assert policy.coefficients(cnn()) == pytest.approx(expected)


@pytest.mark.backends
def test_the_penalty_of_a_policy_needs_no_application() -> None:
    model = linear()
    model.get_layer("d").kernel_regularizer = keras.regularizers.L2(5.0)
    policy = L2Policy(1e-3, l1=1e-2)
    value = keras.ops.convert_to_numpy(policy.penalty(model))
    assert value.shape == ()
    assert float(value) == pytest.approx(by_hand.penalty(model, ["d/kernel"], 1e-3, l1=1e-2), rel=1e-6)
    assert model.losses == []


def test_the_penalty_has_the_gradient_2_lambda_w() -> None:
    import tensorflow as tf

    model = linear()
    with tf.GradientTape() as tape:
        penalty = L2Policy(1e-3).penalty(model)
    gradient = tape.gradient(penalty, model.trainable_weights[0].value)
    np.testing.assert_allclose(gradient, 2e-3 * kernel(model), rtol=1e-6)


@pytest.mark.backends
def test_the_penalty_can_be_read_in_the_middle_of_an_epoch() -> None:
    model = linear()
    policy = L2Policy(0.2)
    policy.apply(model)
    seen: list[float] = []
    start = by_hand.penalty(model, ["d/kernel"], 0.2)
    read = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            float(keras.ops.convert_to_numpy(policy.penalty(model)))
        )
    )
    model.fit(*zeros(3), batch_size=2, verbose=0, callbacks=[read])
    shrunk = [start * (1 - 2 * RATE * 0.2) ** (2 * step) for step in (1, 2, 3)]
    np.testing.assert_allclose(seen, shrunk, rtol=1e-5)


# ---- When it counts ----------------------------------------------------------------------------------------


@pytest.mark.backends
def test_a_step_of_sgd_shrinks_a_weight_by_2_rate_lambda() -> None:
    model = linear()
    L2Policy(0.2).apply(model)
    expected = kernel(model) * (1 - 2 * RATE * 0.2)
    model.fit(*zeros(), verbose=0)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)


@pytest.mark.backends
def test_applied_after_training_it_counts_from_the_next_step_and_the_optimizer_goes_on() -> None:
    model = linear(momentum=0.9)
    x, y = np.ones((2, 3), "float32"), np.ones((2, 2), "float32")
    for _ in range(2):
        model.fit(x, y, verbose=0)
    assert model.evaluate(*zeros(), verbose=0) == 0.0
    optimizer = model.optimizer
    velocity = keras.ops.convert_to_numpy(optimizer.momentums[0].value).astype("float64")
    L2Policy(0.2).apply(model)
    assert model.compiled
    assert model.optimizer is optimizer
    assert int(keras.ops.convert_to_numpy(optimizer.iterations.value)) == 2
    expected = kernel(model)
    assert model.evaluate(*zeros(), verbose=0) == pytest.approx(0.2 * np.square(expected).sum(), rel=1e-6)
    for _ in range(2):
        velocity = 0.9 * velocity - RATE * 2 * 0.2 * expected
        expected = expected + velocity
        model.fit(*zeros(), verbose=0)
        np.testing.assert_allclose(kernel(model), expected, rtol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("event", ["on_train_batch_begin", "on_train_batch_end"])
@pytest.mark.parametrize("live", [False, True])
def test_applied_by_a_callback_it_counts_from_the_next_step_of_the_same_epoch(event: str, live: bool) -> None:
    model = linear()
    policy = L2Policy(Strength(0.2) if live else 0.2)

    def act(batch: int, logs: Any) -> None:
        if batch == 1:
            policy.apply(model)

    penalised_steps = 3 if event == "on_train_batch_begin" else 2  # of steps 0, 1, 2, 3
    expected = kernel(model) * (1 - 2 * RATE * 0.2) ** penalised_steps
    callback = keras.callbacks.LambdaCallback(**{event: act})
    model.fit(*zeros(4), batch_size=2, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)


@pytest.mark.backends
def test_replaced_and_removed_by_a_callback() -> None:
    model = linear()
    L2Policy(Strength(0.2)).apply(model)
    steps = {1: lambda: L2Policy(0.1).apply(model), 2: lambda: L2Policy.remove(model)}
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: steps.get(batch, lambda: None)()
    )
    expected = kernel(model) * (1 - 2 * RATE * 0.2) * (1 - 2 * RATE * 0.1)
    model.fit(*zeros(4), batch_size=2, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)


@pytest.mark.backends
def test_frozen_weights_carry_the_penalty_but_it_counts_only_while_they_train(tmp_path: Path) -> None:
    model = cnn()
    model.get_layer("conv").trainable = False
    policy = L2Policy(1e-3)
    policy.apply(model)
    counting = by_hand.penalty(model, ["depth/kernel", "head/kernel"], 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(counting, rel=1e-6)
    assert float(keras.ops.convert_to_numpy(policy.penalty(model))) == pytest.approx(counting, rel=1e-6)
    again = by_hand.reloaded(model, tmp_path)
    assert by_hand.added_loss(again) == pytest.approx(counting, rel=1e-6)
    again.get_layer("conv").trainable = True
    assert by_hand.added_loss(again) == pytest.approx(by_hand.penalty(model, KERNELS, 1e-3), rel=1e-6)


# ---- Again, instead, away ----------------------------------------------------------------------------------

numbers = st.sampled_from([0.0, 1e-6, 1e-4, 0.5, 3.0])
policies = st.builds(
    L2Policy,
    numbers,
    convention=st.sampled_from(["keras", "pytorch", "mean"]),
    multipliers=st.dictionaries(st.sampled_from(ROLES), numbers, max_size=4),
    overrides=st.dictionaries(
        st.sampled_from(["*", "conv/*", "*/kernel", "head/bias", "n*"]), numbers, max_size=3
    ),
    l1=numbers,
)
sharing = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def shared() -> keras.Model:
    return cnn()


def on_paper(model: keras.Model) -> tuple[list[Any], dict[str, Any]]:
    """What the variables carry and what would be saved."""
    carried = [w.regularizer and (type(w.regularizer), w.regularizer.get_config()) for w in model.weights]
    return carried, model.get_config()


@sharing
@given(policy=policies)
def test_apply_twice_is_apply_once(shared: keras.Model, policy: L2Policy) -> None:
    once = on_paper(policy.apply(shared))
    assert on_paper(policy.apply(shared)) == once


@sharing
@given(first=policies, second=policies)
def test_a_second_policy_replaces_the_first(shared: keras.Model, first: L2Policy, second: L2Policy) -> None:
    alone = on_paper(second.apply(L2Policy.remove(shared)))
    first.apply(shared)
    assert on_paper(second.apply(shared)) == alone


@sharing
@given(policy=policies)
def test_remove_undoes_apply(shared: keras.Model, policy: L2Policy) -> None:
    before = on_paper(L2Policy.remove(shared))
    assert L2Policy.remove(policy.apply(shared)) is shared
    assert on_paper(shared) == before
    assert shared.losses == []


def factor_by_hand(policy: L2Policy, path: str) -> float:
    """The design's rule: the first override whose pattern matches, else the role's multiplier."""
    matching = [factor for pattern, factor in policy.overrides.items() if fnmatch.fnmatchcase(path, pattern)]
    default = 1.0 if ROLE_OF[path] in ("kernel", "depthwise", "recurrent", "embedding") else 0.0
    return matching[0] if matching else policy.multipliers.get(ROLE_OF[path], default)


@sharing
@given(policy=policies)
def test_every_weight_has_lambda_times_its_factor(shared: keras.Model, policy: L2Policy) -> None:
    unit = float(policy.strength) * {"keras": 1, "pytorch": 0.5, "mean": 0.5 / PARAMETERS}[policy.convention]
    factors = {path: factor_by_hand(policy, path) for path in ROLE_OF}
    assert policy.coefficients(shared) == pytest.approx({path: unit * f for path, f in factors.items()})
    expected = sum(by_hand.penalty(shared, [path], unit * f, l1=policy.l1 * f) for path, f in factors.items())
    assert by_hand.added_loss(policy.apply(shared)) == pytest.approx(expected, rel=1e-5)


def test_a_penalty_of_somebody_else_is_an_error_that_changes_nothing() -> None:
    inputs = keras.Input((4,))
    outputs = layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1", name="d")(inputs)
    model = by_hand.randomise(keras.Model(inputs, outputs))
    before = by_hand.added_loss(model)
    with pytest.raises(
        ValueError, match=r"2 weights already have a penalty .*: d/kernel, d/bias\. Call .*replace=True"
    ):
        L2Policy(1e-3).apply(model)
    assert by_hand.added_loss(model) == before
    L2Policy(1e-3).apply(model, replace=True)
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, ["d/kernel"], 1e-3), rel=1e-6)


def test_many_foreign_penalties_are_counted_and_five_named() -> None:
    dense = [layers.Dense(2, kernel_regularizer="l2", name=f"d{i}") for i in range(7)]
    model = keras.Sequential([keras.Input((2,)), *dense], name="m")
    with pytest.raises(ValueError, match=r"7 weights .*m/d0/kernel, .*m/d4/kernel and 2 more\."):
        L2Policy(1e-3).apply(model)


def test_a_policy_replaces_that_of_a_loaded_model(tmp_path: Path) -> None:
    model = L2Policy(1e-2).apply(by_hand.reloaded(L2Policy(1e-3).apply(cnn()), tmp_path))
    assert by_hand.added_loss(model) == pytest.approx(by_hand.penalty(model, KERNELS, 1e-2), rel=1e-6)


def test_remove_takes_off_foreign_penalties_too_also_from_the_file(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1")(inputs))
    assert L2Policy.remove(model).losses == []
    assert by_hand.reloaded(model, tmp_path).losses == []


def test_an_attribute_set_on_a_built_layer_does_not_stand_in_the_way(tmp_path: Path) -> None:
    model = cnn()
    model.get_layer("conv").kernel_regularizer = keras.regularizers.L2(7.0)
    model.get_layer("head").bias_regularizer = keras.regularizers.L2(7.0)
    L2Policy(1e-3).apply(model)
    expected = by_hand.penalty(model, KERNELS, 1e-3)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


def test_a_clone_carries_the_penalty() -> None:
    model = L2Policy(1e-3).apply(cnn())
    twin = by_hand.randomise(keras.models.clone_model(model))
    assert by_hand.added_loss(twin) == pytest.approx(by_hand.added_loss(model), rel=1e-6)


def test_factors_that_differ_inside_one_attention_are_carried(tmp_path: Path) -> None:
    inputs = keras.Input((4, 6))
    outputs = layers.MultiHeadAttention(2, 3, name="att")(inputs, inputs)
    model = by_hand.randomise(keras.Model(inputs, outputs))
    L2Policy(1e-3, overrides={"att/query/*": 0}).apply(model)
    paths = [f"att/{part}/kernel" for part in ("key", "value", "attention_output")]
    expected = by_hand.penalty(model, paths, 1e-3)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "act", [L2Policy().apply, L2Policy.remove, L2Policy().penalty, L2Policy().coefficients]
)
def test_an_unbuilt_model_is_refused(act: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="is not built"):
        act(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(TypeError, match="`model` must be a Keras model or layer, got str"):
        act("mobilenet")


# ---- The value ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"strength": -0.1}, ValueError, r"`strength` must be a finite number >= 0, got strength=-0.1\."),
        ({"strength": math.nan}, ValueError, r"`strength` must be a finite number >= 0, got strength=nan"),
        ({"strength": math.inf}, ValueError, r"`strength` must be a finite number >= 0, got strength=inf"),
        ({"strength": "1e-4"}, TypeError, r"`strength` must be a number, got strength='1e-4' of type str"),
        ({"strength": True}, TypeError, r"`strength` must be a number, got strength=True of type bool"),
        (
            {"convention": "torch"},
            ValueError,
            r"`convention` must be one of .*'pytorch'.*got convention='torch'",
        ),
        ({"multipliers": {"kernels": 1}}, ValueError, r"`multipliers` must be out of .*got \['kernels'\]"),
        ({"multipliers": {"bias": -1}}, ValueError, r"`multipliers\['bias'\]` must be a finite number >= 0"),
        (
            {"multipliers": [1]},
            TypeError,
            r"`multipliers` must be a mapping to factors, got multipliers=\[1\]",
        ),
        ({"overrides": {"*": "0"}}, TypeError, r"`overrides\['\*'\]` must be a number"),
        ({"overrides": "*"}, TypeError, r"`overrides` must be a mapping to factors"),
        ({"l1": -1}, ValueError, r"`l1` must be a finite number >= 0, got l1=-1"),
        ({"decoupled": 1}, TypeError, r"`decoupled` must be True or False, got decoupled=1"),
        ({"decoupled": True, "l1": 0.1}, ValueError, r"`l1` has no decoupled form, got l1=0.1"),
        ({"decoupled": True, "convention": "mean"}, ValueError, r"says nothing about weight decay"),
        ({"decoupled": True, "strength": Strength(1.0)}, ValueError, r"needs a number as `strength`"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        L2Policy(**arguments)


def test_of_takes_what_a_builder_takes() -> None:
    policy, strength = L2Policy(3e-4, l1=1e-3), Strength(1e-3)
    assert L2Policy.of(policy) is policy
    assert L2Policy.of(None) == L2Policy(0.0)
    assert L2Policy.of(1e-3) == L2Policy(1e-3)
    assert L2Policy.of(np.float32(0.5)) == L2Policy(0.5)
    assert L2Policy.of(strength).strength is strength


@pytest.mark.parametrize("value", ["l2", "1e-4", {"strength": 1}, keras.regularizers.L2(1e-4)])
def test_of_refuses_the_rest(value: Any) -> None:
    with pytest.raises(TypeError, match="`l2` must be a number, a Strength, an L2Policy or None, got l2="):
        L2Policy.of(value)


@settings(deadline=None)
@given(policy=policies)
def test_a_policy_travels_as_config_as_text_and_as_copy(policy: L2Policy) -> None:
    twins = [
        L2Policy.from_config(policy.get_config()),
        L2Policy.from_config(json.loads(json.dumps(policy.get_config()))),
        eval(repr(policy), {"L2Policy": L2Policy}),
        pickle.loads(pickle.dumps(policy)),
        copy.deepcopy(policy),
        copy.copy(policy),
    ]
    for twin in twins:
        assert twin == policy
        assert hash(twin) == hash(policy)
        assert repr(twin) == repr(policy)


def test_repr_says_what_is_not_the_default() -> None:
    assert repr(L2Policy()) == "L2Policy(0.0001)"
    assert repr(L2Policy(Strength(1e-3), decoupled=False)) == "L2Policy(Strength(0.001))"
    every = L2Policy(
        1, convention="pytorch", multipliers={"bias": 1, "kernel": 1}, overrides={"a*": 0}, l1=0.5
    )
    assert repr(every) == (
        "L2Policy(1.0, convention='pytorch', multipliers={'bias': 1.0}, overrides={'a*': 0.0}, l1=0.5)"
    )
    assert repr(L2Policy(1, decoupled=True)) == "L2Policy(1.0, decoupled=True)"


def test_equality_is_by_value_with_the_order_of_overrides() -> None:
    assert L2Policy(1e-3) == L2Policy(1e-3, multipliers=DEFAULT_MULTIPLIERS, overrides=None)  # type: ignore[arg-type]
    assert L2Policy(1e-3) != L2Policy(1e-3, convention="pytorch")
    assert L2Policy(1e-3) != 1e-3
    one, other = ({"a*": 0, "*b": 1}, {"*b": 1, "a*": 0})
    assert L2Policy(overrides=one) != L2Policy(overrides=other)
    assert len({L2Policy(1e-3), L2Policy(0.001), L2Policy(1e-3, l1=0)}) == 1


def test_a_live_policy_equals_itself_whatever_its_strength() -> None:
    strength = Strength(1e-3)
    policy = L2Policy(strength)
    known = {policy: "mine"}
    strength.assign(1.0)
    assert known[L2Policy(strength)] == "mine"
    assert policy != L2Policy(Strength(1.0))
    assert policy.get_config()["strength"] == 1.0
    for twin in (pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):
        assert twin.strength is not strength
        assert twin.get_config() == policy.get_config()


def test_a_policy_cannot_be_changed() -> None:
    given_multipliers = {"bias": 1.0}
    policy = L2Policy(multipliers=given_multipliers)
    given_multipliers["bias"] = 5.0
    assert policy.multipliers["bias"] == 1.0
    with pytest.raises(AttributeError):
        policy.strength = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        policy.multipliers["bias"] = 2.0  # type: ignore[index]


def test_apply_says_nothing_when_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L2Policy(1e-3).apply(cnn())
