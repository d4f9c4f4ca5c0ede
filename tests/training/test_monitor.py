"""What the monitor sees, against NumPy by hand; and when it warns."""

from __future__ import annotations

import csv
import math
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo import L2Monitor, L2Policy, Strength, fit
from l2zoo.training.alarms import Losses, warn_of_trouble
from l2zoo.training.monitor import KernelState
from tests.training.conftest import eager

LAM = 0.1


def linear(policy: Any = LAM, *, rate: float = 0.01, many: bool = False) -> keras.Model:
    """`y = x w + b` with mean squared error, whose gradients are known; quick for few steps, or for many."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, name="dense")])
    L2Policy.of(policy).apply(model)
    if many:
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model
    return eager(model, optimizer=keras.optimizers.SGD(rate), loss="mse")


def batch(count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 3)).astype("float32"), rng.normal(size=(count, 1)).astype("float32")


@pytest.mark.backends
@pytest.mark.parametrize("policy", [LAM, Strength(LAM)])
def test_norms_are_those_of_numpy(policy: Any) -> None:
    x, y = batch()
    model, seen = linear(policy), []
    monitor = L2Monitor(x, y, every=1)
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append([keras.ops.convert_to_numpy(w) for w in model.weights])
    )
    start = model.get_weights()
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[monitor, watch])
    assert [state.epoch for state in monitor.states] == [-1, 0, 1]
    for state, (w, b) in zip(monitor.states, [start, *seen], strict=True):
        gradient = 2 * x.T @ (x @ w + b - y) / len(x)
        assert state.path.endswith("dense/kernel")
        assert state.norm == pytest.approx(np.linalg.norm(w), rel=1e-5)
        assert state.data_gradient == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
        assert state.penalty_gradient == pytest.approx(2 * LAM * np.linalg.norm(w), rel=1e-5)
        assert state.ratio == pytest.approx(state.penalty_gradient / state.data_gradient)
        assert state.effective_rate is None
        assert state.near_zero == 0.0


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_looking_changes_nothing_and_norms_are_known() -> None:
    def trained(callbacks: list) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((3,)),
                layers.Dense(4, name="before"),
                layers.BatchNormalization(),
                layers.Dropout(0.5, seed=1),
                layers.Dense(1, name="after"),
            ]
        )
        L2Policy(LAM).apply(model)
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(*batch(), epochs=3, batch_size=4, shuffle=False, verbose=0, callbacks=callbacks)
        return model.get_weights()

    monitor = L2Monitor(*batch())
    for mine, theirs in zip(trained([monitor]), trained([]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    before, after = monitor.states[-2:]
    assert before.path.endswith("before/kernel")
    assert before.effective_rate == pytest.approx(0.01 / before.norm**2)
    assert after.effective_rate is None


def test_looks_are_every_so_many_epochs_and_kept(tmp_path: Path) -> None:
    monitor = L2Monitor(*batch(), every=2, directory=tmp_path)
    linear().fit(*batch(), epochs=4, verbose=0, callbacks=[monitor])
    assert [state.epoch for state in monitor.states] == [-1, 1, 3]
    rows = list(csv.DictReader((tmp_path / "monitor.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["-1", "1", "3"]
    assert float(rows[2]["norm"]) == pytest.approx(monitor.states[2].norm)
    assert any("tfevents" in path.name for path in (tmp_path / "monitor").iterdir())


@pytest.mark.slow
def test_by_default_there_are_128_steps_between_two_looks_and_one_at_the_end() -> None:
    monitor = L2Monitor(*batch())
    model = linear(many=True)
    model.fit(*batch(16), epochs=18, batch_size=2, verbose=0, callbacks=[monitor])  # 8 steps an epoch
    assert [state.epoch for state in monitor.states] == [-1, 15, 17]


def test_the_heat_map_shows_every_kernel(tmp_path: Path) -> None:
    monitor = L2Monitor(*batch())
    linear().fit(*batch(), epochs=2, verbose=0, callbacks=[monitor])
    text = monitor.plot(tmp_path / "ratio.svg").read_text()
    assert "Penalty's gradient / data's gradient" in text or "<svg" in text
    assert monitor.plot(tmp_path / "norm.png", value="norm").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="`value` must be one of"):
        monitor.plot(tmp_path / "x.png", value="weight")
    with pytest.raises(ValueError, match="There is no 'effective_rate' to draw"):
        monitor.plot(tmp_path / "x.png", value="effective_rate")


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`every` must be a whole number >= 1, got every=0"):
        L2Monitor(*batch(), every=0)


def test_a_model_without_kernels_that_train_is_not_watched() -> None:
    model = linear()
    model.get_layer("dense").trainable = False
    with pytest.raises(ValueError, match=r"looks at kernels that train, but .* has none\. Unfreeze some"):
        model.fit(*batch(), verbose=0, callbacks=[L2Monitor(*batch())])


# ---- Warnings ----------------------------------------------------------------------------------------------


def fitted(model: keras.Model, **options: Any) -> list[str]:
    """What is warned of in a training."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        monitor = L2Monitor(*batch(), every=1)
        model.fit(*batch(), verbose=0, callbacks=[monitor], **options)
    return [str(one.message) for one in caught if issubclass(one.category, UserWarning)]


def test_a_healthy_training_is_silent() -> None:
    assert fitted(linear(1e-3, many=True), epochs=20) == []


@pytest.mark.slow
def test_a_penalty_that_dominates_and_makes_a_constant_is_said_once() -> None:
    said = fitted(linear(20.0, rate=1e-4), epochs=3)
    assert sum("dominates the data loss" in one for one in said) == 1
    assert "dense/kernel" in said[0]
    assert "Try a smaller strength" in said[0]
    collapsing = fitted(linear(10.0, many=True), epochs=40)
    assert sum("The weights collapse" in one for one in collapsing) == 1


def test_gradients_that_vanish_in_the_early_layers_are_said() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            *(layers.Dense(4, activation="sigmoid", name=f"deep{i}") for i in range(8)),
            layers.Dense(1, name="out"),
        ]
    )
    L2Policy(0.1).apply(model)
    said = fitted(eager(model, optimizer=keras.optimizers.SGD(1e-4), loss="mse"), epochs=2)
    vanishing = [one for one in said if "gradient of the data vanishes" in one]
    assert len(vanishing) == 1
    assert "deep0/kernel" in vanishing[0]
    assert "L2Schedule" in vanishing[0]


def state(**changes: Any) -> KernelState:
    usual = {"epoch": 3, "path": "a/kernel", "norm": 1.0, "data_gradient": 0.1, "penalty_gradient": 0.01}
    return KernelState(**{**usual, "ratio": 0.1, "effective_rate": None, "near_zero": 0.0, **changes})


FINE = Losses(data=0.006, penalty=0.12, worst=2.3)  # a model that has learnt nearly all of its images


@pytest.mark.parametrize(
    ("changes", "losses", "words"),
    [
        ({"norm": 101.0}, FINE, "Epoch 4: Norms explode to more"),
        ({"norm": math.nan}, FINE, "Norms explode"),
        ({"norm": 0.04}, FINE, "The weights collapse"),
        ({"data_gradient": 9e-6}, FINE, "vanishes in the early layers"),
        ({}, Losses(2.1, 7.0, 2.3), "The penalty, 7, dominates the data loss, 2.1"),
    ],
)
def test_each_sign_has_its_warning_and_only_once(changes: dict, losses: Losses, words: str) -> None:
    with pytest.warns(UserWarning, match=words):
        said = warn_of_trouble([state()], [state(**changes)], losses)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warn_of_trouble([state()], [state(**changes)], losses, said=said) == said
        assert warn_of_trouble([state()], [state()], FINE) == ""


@pytest.mark.slow
def test_a_run_that_is_resumed_goes_on_with_what_was_seen(tmp_path: Path) -> None:
    def trained(folder: Path, epochs: int) -> L2Monitor:
        monitor = L2Monitor(*batch(), every=1)
        model = linear()
        fit(model, batch(), epochs=epochs, callbacks=[monitor], run_dir=folder, verbose=0)
        return monitor

    trained(tmp_path / "halved", 2)
    resumed, whole = trained(tmp_path / "halved", 4), trained(tmp_path / "whole", 4)
    np.testing.assert_allclose(resumed.history, whole.history, rtol=1e-5)
    assert [one.epoch for one in resumed.states] == [-1, 0, 1, 2, 3]
