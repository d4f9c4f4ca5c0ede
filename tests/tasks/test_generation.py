"""Learning to draw, from data to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from l2zoo.data import ImageData, load
from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusing import noise
from l2zoo.tasks.generation import Generation
from l2zoo.training import fit

NAMES = [str(i) for i in range(10)]


@pytest.fixture(scope="module")
def data() -> ImageData:
    found = load_digits()
    return load(((found.images[:128, ..., None] * 255 / 16).astype("uint8"), found.target[:128]))


def tiny(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_diffusion((8, 8, 1), num_classes=10, filters=(8,), attention=0, l2=1e-6)


class Knowing:
    """Stands for a model that knows that all images are black."""

    def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        alpha, sigma = (part[:, None, None, None] for part in noise.mixture(inputs["times"].astype("f8")))
        z = noise.scaled(inputs["images"].astype("f8"))
        return noise.velocity(-1.0, noise.rest_of(z, -1.0, alpha, sigma), alpha, sigma)


class Silent:
    """Stands for a model that always says 0."""

    def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.zeros_like(inputs["images"])


def test_measures_of_models_whose_loss_is_known() -> None:
    black = load((np.zeros((60, 8, 8, 1), "uint8"), np.arange(60) % 10))
    task = Generation(NAMES)
    perfect: Any = Knowing()
    assert task.measure(perfect, black)["denoising_loss"] == pytest.approx(0, abs=1e-6)
    silent: Any = Silent()
    measured = task.measure(silent, black)
    assert set(measured) == {
        "denoising_loss", "denoising_loss_little_noise", "denoising_loss_middle_noise",
        "denoising_loss_much_noise",
    }  # fmt: skip
    # v = alpha * noise + sigma, whose square is 1 on average
    assert measured["denoising_loss"] == pytest.approx(1, abs=0.1)


def test_examples_for_export_are_those_of_validation_and_scored_by_what_they_explain(data: ImageData) -> None:
    task = Generation(NAMES)
    inputs, velocities = task.examples(tiny(), data, 20)
    fixed, wanted = next(task.prepared(data).once(20).as_numpy_iterator())
    np.testing.assert_array_equal(inputs["images"], fixed["images"])
    np.testing.assert_array_equal(velocities, wanted)
    assert sorted(inputs) == ["images", "labels", "times"]
    assert task.scores(velocities, velocities) == {"explained": 1.0}
    assert task.scores(np.zeros_like(velocities), velocities) == {"explained": 0.0}
    assert task.scores(velocities / 2, velocities)["explained"] == pytest.approx(0.75)


@pytest.mark.backends
def test_a_short_training_learns_with_a_penalty_and_draws(data: ImageData, tmp_path: Path) -> None:
    task, model = Generation(NAMES), tiny()
    silent: Any = Silent()  # as the model is before it has learnt
    logs = fit(
        model, task.prepared(data), validation=task.prepared(data), epochs=6, batch_size=32,
        optimizer=keras.optimizers.Adam(1e-2), verbose=0, **task.compiling(),
    ).history  # fmt: skip
    assert logs["val_data_loss"][-1] < logs["val_data_loss"][0]
    assert logs["val_loss"][-1] == pytest.approx(logs["val_data_loss"][-1] + logs["l2_penalty"][-1], rel=1e-4)
    losses = [task.measure(each, data)["denoising_loss"] for each in (model, silent)]
    assert losses[0] < 0.7 * losses[1]
    assert task.deployed(model).count_params() == model.count_params()
    assert task.picture(model, data, tmp_path / "drawn.png").stat().st_size > 10_000


class Crash(BaseException):
    """Stands for the end of the process."""


class DiesInEpoch(keras.callbacks.Callback):
    def __init__(self, epoch: int | None):
        super().__init__()
        self.fatal = epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == self.fatal:
            raise Crash


@pytest.mark.backends
def test_averaged_weights_are_those_of_the_end_also_of_a_run_that_was_killed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype("float32"), rng.normal(size=(40, 2)).astype("float32")

    def linear(seed: int = 0) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    def run(name: str, *, seed: int = 0, dies: int | None = None, epochs: int = 3) -> Any:
        model = linear(seed)
        after: list[list[np.ndarray]] = []

        class Recalls(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
                getattr(self.model, "jax_state_sync", lambda: None)()
                after.append(self.model.get_weights())

        fit(
            model, (x, y), epochs=epochs, batch_size=20, l2=1e-3, loss="mse",
            optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
            run_dir=tmp_path / name, callbacks=[DiesInEpoch(dies), Recalls()], verbose=0,
        )  # fmt: skip
        return model.get_weights(), after

    def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

    whole, steps = run("whole")
    average = steps[0]
    for weights in steps[1:]:
        average = [0.8 * mean + 0.2 * new for mean, new in zip(average, weights, strict=True)]
    assert len(steps) == 6
    assert_same(whole, average)
    with pytest.raises(Crash):
        run("killed", dies=2)
    assert_same(run("killed", seed=9)[0], whole)  # goes on
    assert_same(run("killed", seed=9)[0], whole)  # is finished
    last = linear()
    last.load_weights(tmp_path / "whole" / "last.weights.h5")
    assert_same(last.get_weights(), whole)
    # A run that is prolonged goes on from the weights, not from their average.
    assert_same(run("whole", epochs=4)[0], run("long", epochs=4)[0])


@pytest.mark.slow
def test_a_search_takes_what_is_prepared(data: ImageData, tmp_path: Path) -> None:
    from l2zoo.tuning.search import tune_l2

    task = Generation(NAMES)

    def build(l2: float) -> keras.Model:
        model = build_diffusion((8, 8, 1), num_classes=10, filters=(8,), attention=0, l2=l2)
        model.compile(keras.optimizers.Adam(1e-2), **task.compiling())
        return model

    result = tune_l2(
        build, task.prepared(data), strengths=[0.0, 1e-4], folds=2, epochs=1, objective=task.objective,
        directory=tmp_path,
    )  # fmt: skip
    assert result.verdict
