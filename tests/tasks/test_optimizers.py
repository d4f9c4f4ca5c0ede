"""Optimizers and schedules by name."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from l2zoo.tasks.optimizers import optimizer

pytestmark = pytest.mark.backends


def rates(schedule: str, steps: int) -> list[float]:
    chosen = optimizer("sgd", learning_rate=0.1, schedule=schedule, steps=steps)
    found = []
    for step in range(steps):
        chosen.iterations.assign(step)
        found.append(float(keras.ops.convert_to_numpy(chosen.learning_rate)))
    return found


def test_the_step_schedule_divides_the_rate_by_ten_at_half_and_at_three_quarters() -> None:
    np.testing.assert_allclose(rates("step", 8), [0.1] * 5 + [0.01] * 2 + [0.001], rtol=1e-5)


def test_the_cosine_climbs_for_a_twentieth_and_then_falls() -> None:
    warm = [0.0, 0.05]
    down = [0.1 * (1 + math.cos(math.pi * step / 38)) / 2 for step in range(38)]
    np.testing.assert_allclose(rates("cosine", 40), warm + down, rtol=1e-4, atol=1e-7)


def test_a_short_cosine_has_no_warm_up() -> None:
    np.testing.assert_allclose(rates("cosine", 2), [0.1, 0.05], rtol=1e-5)


def test_adamw_decays_nothing_by_itself() -> None:
    assert not optimizer("adamw", learning_rate=1e-3, schedule="constant").weight_decay


def test_what_is_unknown_or_missing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`optimizer` must be one of \['sgd', 'adam', 'adamw'\]"):
        optimizer("lion", learning_rate=1e-3)
    with pytest.raises(ValueError, match="`schedule` must be one of"):
        optimizer("sgd", learning_rate=1e-3, schedule="linear")
    with pytest.raises(ValueError, match="`learning_rate` must be above 0, got learning_rate=0"):
        optimizer("sgd", learning_rate=0)
    with pytest.raises(ValueError, match="`steps` must be a whole number >= 1, got steps=0"):
        optimizer("sgd", learning_rate=0.1)


def test_averaged_weights_take_the_place_of_the_last_ones_when_the_training_ends() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[0.0]])
    chosen = optimizer("sgd", learning_rate=0.1, schedule="constant", average=0.5)
    chosen.momentum = 0.0
    model.compile(chosen, "mse")
    x, y = np.ones((3, 1), "float32"), np.ones((3, 1), "float32")
    weight = averaged = 0.0
    for step in range(3):
        weight += 0.1 * 2 * (1 - weight)
        averaged = weight if step == 0 else 0.5 * averaged + 0.5 * weight
    model.fit(x, y, batch_size=1, epochs=1, verbose=0)
    found = keras.ops.convert_to_numpy(model.layers[0].kernel)[0, 0]
    assert found == pytest.approx(averaged, rel=1e-5)
    with pytest.raises(ValueError, match=r"`average` must be in \[0, 1\), got average=1"):
        optimizer("sgd", learning_rate=0.1, schedule="constant", average=1)
