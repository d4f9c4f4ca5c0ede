"""A strength that follows a schedule: the number in every step, in the logs, and after a resumed fit."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.schedule import L2Schedule
from l2zoo.regularization.strength import Strength
from tests import by_hand

RATE = 0.1
STEPS = 3  # of an epoch


def linear(strength: Strength) -> keras.Model:
    """One kernel that only the penalty moves, for the data are zeros."""
    inputs = keras.Input((3,))
    model = by_hand.randomise(keras.Model(inputs, layers.Dense(2, use_bias=False, name="d")(inputs)))
    model.compile(keras.optimizers.SGD(RATE), "mse")
    return L2Policy(strength).apply(model)


def train(model: keras.Model, *callbacks: keras.callbacks.Callback, **kwargs: Any) -> dict[str, list[float]]:
    x, y = np.zeros((2 * STEPS, 3), "float32"), np.zeros((2 * STEPS, 2), "float32")
    return model.fit(x, y, batch_size=2, verbose=0, callbacks=list(callbacks), **kwargs).history


def shrunk(start: np.ndarray, values: list[float]) -> np.ndarray:
    """What SGD leaves of a weight after a step at each of the strengths."""
    return start * math.prod(1 - 2 * RATE * value for value in values)


def kernel(model: keras.Model) -> np.ndarray:
    return by_hand.arrays(model)["d/kernel"]


@pytest.mark.backends
def test_a_callable_of_the_epoch_counts_from_its_first_step() -> None:
    strength = Strength(0.9)
    model = linear(strength)
    expected = shrunk(kernel(model), [0.0] * STEPS + [0.1] * STEPS + [0.2] * STEPS)
    logs = train(model, L2Schedule(strength, lambda epoch: 0.1 * epoch), epochs=3)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-5)
    assert logs["l2"] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_keras_schedule_is_read_at_every_step() -> None:
    strength = Strength(0.9)
    model = linear(strength)
    decay = keras.optimizers.schedules.PolynomialDecay(0.3, decay_steps=6, end_learning_rate=0.0)
    values = [0.3 * (1 - step / 6) for step in range(6)]
    expected = shrunk(kernel(model), values)
    logs = train(model, L2Schedule(strength, decay), epochs=2)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-5)
    assert logs["l2"] == pytest.approx([values[2], values[5]], rel=1e-6)


@pytest.mark.backends
def test_a_keras_schedule_goes_on_where_the_optimizer_stands() -> None:
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([1, 4], [0.1, 0.2, 0.4])
    values = [0.1, 0.1, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4, 0.4]  # the boundaries belong to the piece before
    strength = Strength(0.0)
    model = linear(strength)
    expected = shrunk(kernel(model), values)
    train(model, L2Schedule(strength, decay))
    train(model, L2Schedule(strength, decay), initial_epoch=1, epochs=3)
    np.testing.assert_allclose(kernel(model), expected, rtol=1e-5)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_it_works_in_a_model_around_the_penalised_one() -> None:
    strength = Strength(0.9)
    inner = linear(strength)
    inputs = keras.Input((3,))
    outer = keras.Model(inputs, inner(inputs))
    outer.compile(keras.optimizers.SGD(RATE), "mse")
    decay = keras.optimizers.schedules.PolynomialDecay(0.3, decay_steps=3, end_learning_rate=0.0)
    expected = shrunk(kernel(outer), [0.3, 0.2, 0.1])
    train(outer, L2Schedule(strength, decay))
    np.testing.assert_allclose(kernel(outer), expected, rtol=1e-5)


def test_the_log_reaches_other_callbacks_beside_validation() -> None:
    strength = Strength(0.0)
    model = linear(strength)
    seen: list[dict[str, float]] = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    x, y = np.zeros((2, 3), "float32"), np.zeros((2, 2), "float32")
    train(model, L2Schedule(strength, lambda epoch: 0.5), spy, validation_data=(x, y))
    assert seen[0]["l2"] == 0.5
    assert seen[0]["val_loss"] == pytest.approx(by_hand.penalty(model, ["d/kernel"], 0.5), rel=1e-6)


def test_a_schedule_that_gives_no_strength_stops_with_the_reason() -> None:
    strength = Strength(0.0)
    with pytest.raises(ValueError, match=r"must be a finite number >= 0, got value=-1\.0"):
        train(linear(strength), L2Schedule(strength, lambda epoch: -1.0))


def test_a_strength_that_penalises_nothing_in_the_model_is_not_scheduled() -> None:
    model, other = linear(Strength(1e-3)), Strength(0.0)
    before = kernel(model)
    with pytest.raises(
        ValueError, match=r"would change nothing\. Apply it: L2Policy\(strength\)\.apply\(model\)"
    ):
        train(model, L2Schedule(other, lambda epoch: 1e-2))
    np.testing.assert_array_equal(kernel(model), before)
    assert other.value == 0


@pytest.mark.parametrize("strength", [1e-4, None, L2Policy(1e-4)])
def test_only_a_live_strength_can_be_scheduled(strength: Any) -> None:
    with pytest.raises(
        TypeError, match=r"`strength` must be a Strength, got \w+\. Make one, `strength = Str"
    ):
        L2Schedule(strength, lambda epoch: 1.0)


def test_a_schedule_must_be_callable() -> None:
    with pytest.raises(
        TypeError, match=r"`schedule` must be a Keras schedule or a callable of epoch, got 0.5"
    ):
        L2Schedule(Strength(1.0), 0.5)  # type: ignore[arg-type]
