"""The data loss is measured, the penalty computed, and the first bad step found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import L2Policy
from l2zoo.training import fit, pace
from l2zoo.training.feed import feed_of
from tests.training.conftest import eager

Arrays = tuple[np.ndarray, np.ndarray]
STILL = 1e-12  # a learning rate at which the weights stay as they are


def softmax_regression(l2: float) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="dense")(x))
    return L2Policy(l2).apply(model)


def cross_entropies(model: keras.Model, data: Arrays) -> np.ndarray:
    """Of every example, by NumPy in double precision."""
    kernel, bias = (w.astype("float64") for w in model.get_weights())
    logits = data[0].reshape(len(data[0]), -1) / 255.0 @ kernel + bias
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), data[1]]


@pytest.mark.backends
def test_loss_data_loss_and_penalty_are_what_numpy_says(train: Arrays, held_out: Arrays) -> None:
    model = softmax_regression(1e-2)
    penalty = 1e-2 * np.square(model.get_weights()[0].astype("float64")).sum()
    logs = fit(
        model, train, validation=held_out, epochs=1, optimizer=keras.optimizers.SGD(STILL), verbose=0
    ).history
    for prefix, data in (("", train), ("val_", held_out)):
        data_loss = cross_entropies(model, data).mean()
        assert logs[f"{prefix}data_loss"][0] == pytest.approx(data_loss, abs=1e-6)
        assert logs[f"{prefix}loss"][0] == pytest.approx(data_loss + penalty, abs=1e-6)
    assert logs["l2_penalty"][0] == pytest.approx(penalty, abs=1e-6)


def test_weights_of_examples_count_in_the_data_loss_as_in_the_loss(train: Arrays) -> None:
    model = eager(softmax_regression(1e-2), loss="sparse_categorical_crossentropy")
    importance = np.random.default_rng(0).uniform(size=len(train[0]))
    logs = fit(
        model, (*train, importance), epochs=1, optimizer=keras.optimizers.SGD(STILL), verbose=0
    ).history
    expected = (cross_entropies(model, train) * importance).mean()  # Keras divides by the number of examples
    assert logs["data_loss"][0] == pytest.approx(expected, abs=1e-6)
    assert logs["loss"][0] == pytest.approx(expected + logs["l2_penalty"][0], abs=1e-6)


@pytest.mark.parametrize(
    "loss", ["mse", lambda y, p: keras.ops.square(y - p), keras.losses.MeanSquaredError()]
)
def test_targets_without_a_last_axis_are_compared_one_by_one(loss: Any) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    y = x.sum(axis=1)
    model = eager(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    logs = fit(model, (x, y), epochs=1, loss=loss, optimizer=keras.optimizers.SGD(STILL), verbose=0).history
    kernel, bias = model.get_weights()
    assert logs["data_loss"][0] == pytest.approx(np.mean(((x @ kernel + bias)[:, 0] - y) ** 2), rel=1e-5)


@pytest.mark.parametrize("as_dict", [False, True])
def test_the_data_loss_of_several_outputs_is_their_weighted_sum(
    as_dict: bool, train: Arrays, held_out: Arrays
) -> None:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    digit = keras.layers.Dense(10, activation="softmax", name="digit")(x)
    ink = keras.layers.Dense(1, name="ink")(x)
    losses, factors = ("sparse_categorical_crossentropy", "mse"), (1.0, 0.5)
    pairs = [(x, (y, x.mean(axis=(1, 2, 3)) / 255)) for x, y in (train, held_out)]
    names = ("digit", "ink")
    if as_dict:
        model = keras.Model(inputs, dict(zip(names, (digit, ink), strict=True)))
        by_name, weights = (dict(zip(names, parts, strict=True)) for parts in (losses, factors))
        eager(model, loss=by_name, loss_weights=weights, metrics={"digit": ["accuracy"]})
        pairs = [(x, dict(zip(names, targets, strict=True))) for x, targets in pairs]
    else:
        model = keras.Model(inputs, [digit, ink])
        eager(model, loss=list(losses), loss_weights=list(factors), metrics=[["accuracy"], None])
    logs = fit(model, pairs[0], validation=pairs[1], epochs=1, l2=1e-2, verbose=0).history
    assert logs["val_loss"][0] == pytest.approx(logs["val_data_loss"][0] + logs["l2_penalty"][0], abs=1e-6)
    parts = logs["val_digit_data_loss"][0] + 0.5 * logs["val_ink_data_loss"][0]
    assert logs["val_data_loss"][0] == pytest.approx(parts, abs=1e-6)


def diverging(seed: int = 0) -> keras.Model:
    """Least squares that blows up at a learning rate of 2: after some steps it leaves float32."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    return L2Policy(1e-3).apply(model)


def first_bad_step(data: Arrays, batch_size: int) -> tuple[int, list[float]]:
    """By Keras's own `train_on_batch` on the same batches: the step, and the penalty before each."""
    model = eager(diverging(), optimizer=keras.optimizers.SGD(2.0), loss="mse")
    penalties = []
    for step, batch in enumerate(feed_of(data, batch_size=batch_size, seed=0).epochs_from(0)):
        penalties.append(1e-3 * np.square(model.get_weights()[0].astype("float64")).sum())
        if not np.isfinite(model.train_on_batch(*(part.numpy() for part in batch))):
            return step, penalties
    raise AssertionError


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("execution", [1, pytest.param(25, marks=pytest.mark.slow)])
def test_a_loss_that_is_no_number_names_the_first_bad_step_and_the_penalty(
    execution: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(pace, "longest_execution", lambda *_: execution)
    x = np.random.default_rng(0).normal(size=(100, 3)).astype("float32")
    data = (x, x.sum(axis=1))
    bad, penalties = first_bad_step(data, 4)
    epoch, step = divmod(bad, 25)
    assert epoch > 0, "the count must begin anew in every epoch"
    with pytest.raises(FloatingPointError) as failure:
        fit(
            diverging(), data, epochs=9, batch_size=4, loss="mse", optimizer=keras.optimizers.SGD(2.0),
            run_dir=tmp_path / "run", verbose=0,
        )  # fmt: skip
    message = str(failure.value)
    assert re.search(
        rf"The loss became (inf|nan) in epoch {epoch + 1} of 9, step {step + 1} of 25\.", message
    )
    at_start, last = re.search(
        r"The L2 penalty was (\S+) at the start of that epoch and (\S+) when", message
    ).groups()
    assert float(at_start) == pytest.approx(penalties[epoch * 25], rel=0.01)
    assert float(last) in (
        np.inf,
        pytest.approx(penalties[-2], rel=0.05),
        pytest.approx(penalties[-1], rel=0.05),
    )
    assert "lower learning rate" in message
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + epoch


def test_weights_that_the_last_step_of_an_epoch_spoils_are_not_kept(tmp_path: Path) -> None:
    x = np.full((4, 3), 1e30, "float32")
    with pytest.raises(
        FloatingPointError, match=r"A weight became infinite or NaN in epoch 1 of 2, step 1 of 1"
    ):
        fit(
            eager(diverging()), (x, np.zeros(4)), epochs=2, loss=lambda y, p: keras.ops.abs(y - p) * 1e-20,
            optimizer=keras.optimizers.SGD(1e30), run_dir=tmp_path / "run", verbose=0,
        )  # fmt: skip
    assert (tmp_path / "run" / "metrics.csv").read_text() == "epoch\n"


def test_early_stopping_knows_that_less_data_loss_is_better(train: Arrays, held_out: Arrays) -> None:
    stopper: Callable[..., Any] = keras.callbacks.EarlyStopping
    history = fit(
        eager(softmax_regression(1e-3), loss="sparse_categorical_crossentropy"),
        train, validation=held_out, epochs=30, verbose=0,
        callbacks=[stopper("val_data_loss", min_delta=10.0)],
    )  # fmt: skip
    assert history.epoch == [0, 1]
