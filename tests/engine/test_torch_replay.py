"""Steps that are replayed on PyTorch, against Keras's own."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest

from l2zoo import L2Policy
from l2zoo.engine.loops import epoch_loop
from tests.search import small

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch runs eagerly, the others trace", allow_module_level=True)

import torch

from l2zoo.engine import torch_replay

pytestmark = pytest.mark.backends
X, Y = small.data(80)
BATCH = 8
KINDS = keras.optimizers


class Looks(keras.layers.Layer):
    """Goes another way for another batch."""

    def call(self, x):
        return x * 2 if float(x.detach().mean()) > 0.31 else x


class Draws(keras.layers.Layer):
    """Takes its noise from NumPy, of which PyTorch knows nothing."""

    def call(self, x, training=False):
        return x + np.random.default_rng().normal() if training else x


class Counts(keras.layers.Layer):
    """Does something else every third time."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x * 2 if self.calls % 3 == 0 else x


def compiled(*between, optimizer=None, metrics=("accuracy",)) -> keras.Model:
    """A model, with layers that are made after the seed is set: a dropout draws its own from it."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
    layers += [
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        *(make() for make in between),
        keras.layers.Dense(3, activation="softmax"),
    ]
    model = L2Policy(1e-2).apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))
    optimizer = optimizer or keras.optimizers.Adam(1e-2)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics))
    optimizer.build(model.trainable_variables)
    return model


def trained(model: keras.Model, monkeypatch, *, after: int, epochs: int = 3):
    """What every variable is in the end, and the loop; every batch but the last is whole."""
    monkeypatch.setattr(torch_replay, "AFTER", after)
    loop = epoch_loop(model, (X, Y), batch_size=BATCH)
    torch.manual_seed(1)
    for epoch in range(epochs):
        model.reset_metrics()
        loop.train(np.random.default_rng(epoch).permutation(len(X))[:-3])
    return values(model), loop


def values(model: keras.Model) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def replayed(loop) -> set[int]:
    """The sizes of batches that are replayed."""
    return {shape[0][0][0] for shape, operations in loop._train._lists.items() if operations is not None}


def check(make, monkeypatch, *, sizes: set[int]) -> None:
    eager, _ = trained(make(), monkeypatch, after=10**9)
    fast, loop = trained(make(), monkeypatch, after=2)
    for one, other in zip(eager, fast, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert replayed(loop) == sizes


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: KINDS.Adam(1e-2),
        lambda: KINDS.RMSprop(1e-3, centered=True, clipnorm=0.1),
        *(
            pytest.param(make, marks=pytest.mark.slow)
            for make in (
                lambda: KINDS.AdamW(1e-2, global_clipnorm=0.5),
                lambda: KINDS.Adam(1e-2, amsgrad=True, use_ema=True, ema_momentum=0.9),
                lambda: KINDS.Adam(1e-2, weight_decay=1e-2, clipvalue=0.01),
                lambda: KINDS.Adagrad(1e-2),
                lambda: KINDS.Adamax(1e-2),
                lambda: KINDS.Ftrl(1e-2),
                lambda: KINDS.Lion(1e-3),
                lambda: KINDS.Adafactor(1e-2),
                lambda: KINDS.Lamb(1e-2),
                lambda: KINDS.Muon(1e-2),
                lambda: KINDS.Adam(KINDS.schedules.ExponentialDecay(1e-2, 5, 0.5)),
            )
        ),
    ],
)
def test_a_replayed_training_is_keras_s_for_every_optimizer(optimizer, monkeypatch):
    check(lambda: compiled(optimizer=optimizer()), monkeypatch, sizes={BATCH, 5})


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: KINDS.Adam(1e-2, gradient_accumulation_steps=3),
        lambda: KINDS.SGD(1e-2, momentum=0.9, nesterov=True, clipnorm=0.1),  # takes the number of its rate
        lambda: KINDS.Adadelta(1.0),  # likewise
        lambda: KINDS.Nadam(1e-2),  # takes a product of all steps to NumPy
        lambda: KINDS.LossScaleOptimizer(KINDS.SGD(1e-2), initial_scale=2.0, dynamic_growth_steps=3),
        lambda: KINDS.Adam(1e-2, use_ema=True, ema_overwrite_frequency=3),
    ],
)
def test_an_optimizer_that_takes_numbers_out_of_tensors_or_decides_by_them_is_keras_s(optimizer, monkeypatch):
    check(lambda: compiled(optimizer=optimizer()), monkeypatch, sizes=set())


@pytest.mark.parametrize("layer", [Looks, Counts, lambda: keras.layers.GaussianNoise(0.5, seed=3)])
def test_a_step_that_looks_into_its_tensors_or_counts_is_keras_s_own(layer, monkeypatch):
    check(lambda: compiled(layer), monkeypatch, sizes=set())


def test_a_number_that_python_keeps_is_found_from_the_first_step_on(monkeypatch):
    """By then it has all but settled: from step to step nothing would be seen."""
    monkeypatch.setattr(torch_replay, "_NoValues", contextlib.nullcontext)
    monkeypatch.setattr(torch_replay, "_NoLooking", contextlib.nullcontext)
    _, loop = trained(compiled(optimizer=KINDS.Nadam(1e-6)), monkeypatch, after=60, epochs=8)
    assert replayed(loop) == set()
    assert max(loop._train._used.values()) > 60


def test_noise_that_is_no_operation_is_found_by_comparison(monkeypatch):
    _, loop = trained(compiled(Draws), monkeypatch, after=2)
    assert replayed(loop) == set()


def test_dropout_draws_as_keras_s_does(monkeypatch):
    check(lambda: compiled(lambda: keras.layers.Dropout(0.4)), monkeypatch, sizes={BATCH, 5})


def test_metrics_with_state_are_kept(monkeypatch):
    metrics = lambda: ("accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top"))  # noqa: E731
    check(lambda: compiled(metrics=metrics()), monkeypatch, sizes={BATCH, 5})


def test_what_changes_between_epochs_counts_from_the_next_step(monkeypatch):
    """An attribute of a layer, and what may be trained: no tensor tells of either."""

    def change(model, epoch):
        model.layers[5].rate = (0.0, 0.6, 0.6)[epoch]
        model.layers[1].trainable = epoch < 2

    ends = []
    for after in (10**9, 2):
        monkeypatch.setattr(torch_replay, "AFTER", after)
        model = compiled(lambda: keras.layers.Dropout(0.1))
        loop = epoch_loop(model, (X, Y), batch_size=BATCH)
        torch.manual_seed(1)
        for epoch in range(3):
            change(model, epoch)
            loop.train(np.random.default_rng(epoch).permutation(len(X)))
        ends.append(values(model))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert replayed(loop) == {BATCH}


def test_an_evaluation_is_replayed_too_and_changes_no_weight(monkeypatch):
    monkeypatch.setattr(torch_replay, "AFTER", 2)
    model = compiled(lambda: keras.layers.Dropout(0.4))
    loop = epoch_loop(model, (X, Y), batch_size=4)
    before = model.get_weights()
    for _ in range(4):
        model.reset_metrics()
        loop.evaluate(np.arange(64))
    got = {name: float(value) for name, value in model.get_metrics_result().items()}
    assert loop._evaluate._lists[next(iter(loop._evaluate._lists))] is not None
    expected = model.evaluate(X[:64], Y[:64], batch_size=16, verbose=0, return_dict=True)
    assert got == pytest.approx(expected, rel=1e-5)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
