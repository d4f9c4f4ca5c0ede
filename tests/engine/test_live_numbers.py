"""A model that is traced for one configuration trains for another as Keras trains a model built for it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest

from l2zoo.engine import trainer as trainers
from l2zoo.engine.folds import Division
from l2zoo.engine.job import Job
from l2zoo.engine.live_numbers import numbers_of, structure_of
from l2zoo.engine.record import Unit
from l2zoo.engine.trainer import Trainer
from tests.search import small

SETTINGS = {"l2": 1e-3, "l1": 0.0, "rate": 1e-2, "dropout": 0.25, "units": 6, "schedule": False}
torch = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="its dropout draws from a global generator"
)


def build(values: dict) -> keras.Model:
    s = {**SETTINGS, **values}
    penalty = keras.regularizers.L1L2(l1=s["l1"], l2=s["l2"]) if s["l1"] else keras.regularizers.L2(s["l2"])
    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(s["units"], activation="relu", kernel_regularizer=penalty),
        keras.layers.Dropout(s["dropout"]),
        keras.layers.Dense(3, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    rate = keras.optimizers.schedules.CosineDecay(s["rate"], 20) if s["schedule"] else s["rate"]
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def job(**reference) -> Job:
    x, y = small.data()
    loss = "sparse_categorical_crossentropy"
    return Job(build, x, y, 3, 2, 8, "adam", loss, ("accuracy",), None, {**SETTINGS, **reference})


def unit(**values) -> Unit:
    others = {**SETTINGS, **values}
    return Unit(others.pop("l2"), fold=1, seed=2, others=tuple(others.items()))


@pytest.fixture(scope="module")
def trainer_of() -> Callable[..., Trainer]:
    """The trainer whose model was traced with such values: one for all tests that ask for the same."""

    @functools.cache
    def trainer(**reference) -> Trainer:
        trainer = Trainer(job(**reference))
        trainer.run(unit(**reference))
        return trainer

    return trainer


def trained_by_keras(values: dict) -> keras.Model:
    x, y = small.data()
    rows, _ = Division(y, 3)(2)[1]
    keras.utils.set_random_seed(2)
    model = build(values)
    for epoch in range(2):
        shuffled = np.random.default_rng((2, 1, epoch)).permutation(rows)
        for start in range(0, len(rows), 8):
            model.train_on_batch(x[shuffled[start : start + 8]], y[shuffled[start : start + 8]])
    return model


@torch
@pytest.mark.backends
@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param({}, {"l2": 0.3, "rate": 0.1, "dropout": 0.6}, marks=pytest.mark.slow),
        pytest.param({}, {"l2": 0.0, "rate": 3e-2, "dropout": 0.1}, marks=pytest.mark.slow),
        ({"l1": 1e-3, "schedule": True}, {"l1": 0.05, "rate": 0.05}),
    ],
)
def test_numbers_that_are_assigned_do_what_numbers_that_were_built_in_do(trainer_of, first, then):
    trainer = trainer_of(**first)
    record, state = trainer.run(unit(**{**first, **then}), keep=True)
    assert len(trainer._warm) == 1
    model = trained_by_keras({**first, **then})
    for variable, mine in zip(model.variables, state, strict=False):  # the optimizer's state is behind them
        its = keras.ops.convert_to_numpy(variable)
        np.testing.assert_allclose(mine, its, rtol=2e-4, atol=2e-5, err_msg=variable.path)
    x, y = small.data()
    held = Division(y, 3)(2)[1][1]
    answers = keras.ops.convert_to_numpy(model(x[held])).argmax(axis=1)
    assert record.score == pytest.approx((answers == y[held]).mean(), abs=1e-6)


@pytest.mark.slow
def test_another_width_is_another_model_and_no_more_are_kept_than_memory_is_meant_for(monkeypatch):
    monkeypatch.setattr(trainers, "KEEP", 2)
    trainer = Trainer(job())
    before, _ = trainer.run(unit())
    trainer.run(unit(units=4))
    warm = list(trainer._warm.values())
    again, _ = trainer.run(unit())
    for name, values in before.curves.items():
        assert again.curves[name] == pytest.approx(values, rel=1e-5), name
    assert len(warm) == 2
    assert set(trainer._warm.values()) == set(warm)
    newest, _ = trainer._warm_model({**SETTINGS, "units": 3}, seed=0)
    assert list(trainer._warm.values()) == [warm[0], newest]  # the one that was used longest ago is gone


def test_strength_zero_first_does_not_cost_a_second_model():
    trainer = Trainer(job())
    models = {trainer._warm_model({**SETTINGS, "l2": l2}, seed=0)[0] for l2 in (0.0, 0.1)}
    assert models == set(trainer._warm.values())
    assert len(models) == 1


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"l2": 0.5}, True),
        ({"rate": 0.5}, True),
        ({"dropout": 0.5}, True),
        ({"dropout": 0.0}, False),
        ({"units": 7}, False),
        ({"schedule": True}, False),
    ],
)
def test_a_structure_is_all_but_the_numbers(values, same):
    one, trusted = structure_of(build({}))
    assert trusted
    assert (structure_of(build(values))[0] == one) == same


def test_an_activity_penalty_and_a_loss_are_structure():
    def text(activity, loss):
        layer = keras.layers.Dense(2, activity_regularizer=keras.regularizers.L2(activity))
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile("sgd", loss)
        return structure_of(model)

    assert text(0.1, "mse")[0] != text(0.2, "mse")[0]
    assert text(0.1, keras.losses.Huber(1.0))[0] != text(0.1, keras.losses.Huber(2.0))[0]
    assert not text(0.1, lambda y, p: (y - p) ** 2)[1]


def test_what_a_custom_layer_does_with_other_values_is_never_shared():
    calls = []

    class Scaled(keras.layers.Layer):
        def __init__(self, scale):
            super().__init__()
            self.scale = scale

        def call(self, x):
            calls.append(self.scale)
            return x * self.scale

    def scaled(values):
        dense = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(values["l2"]))
        model = keras.Sequential(
            [keras.Input((4, 4, 1)), keras.layers.Flatten(), Scaled(values["scale"]), dense]
        )
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    x, y = small.data()
    reference = {"l2": 1e-3, "scale": 1.0}
    trainer = Trainer(Job(scaled, x, y, 3, 1, 8, "sgd", "mse", (), "val_data_loss", reference))
    small_scale, large = (
        trainer.run(Unit(1e-3, 0, 0, (("scale", scale),)))[0].curves["loss"] for scale in (1.0, 0.01)
    )
    assert len(trainer._warm) == 2
    assert small_scale != large


def test_numbers_are_read_off_the_model():
    numbers = numbers_of(build({"l1": 0.5, "l2": 0.25, "dropout": 0.125, "rate": 0.0625}))
    assert numbers.l2 == (0.25, 0.0, 0.0, 0.0)
    assert numbers.l1 == (0.5, 0.0, 0.0, 0.0)
    assert numbers.dropout == (0.125,)
    assert numbers.learning_rate == 0.0625


@torch
@pytest.mark.backends
def test_going_on_from_a_state_is_as_if_it_had_never_stopped(trainer_of):
    trainer = trainer_of()
    whole, end = trainer.run(unit(), keep=True)
    others = unit().others
    first, state = trainer.run(Unit(1e-3, 1, 2, others, end=1), keep=True)
    trainer.run(unit(l2=0.5))
    second, other_end = trainer.run(Unit(1e-3, 1, 2, others, begin=1), state=state, keep=True)
    assert (first.trained, second.trained, second.epochs) == (1, 1, 2)
    for name, values in whole.curves.items():
        np.testing.assert_allclose([*first.curves[name], *second.curves[name]], values, rtol=1e-5, atol=1e-6)
    for one, other in zip(end, other_end, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
