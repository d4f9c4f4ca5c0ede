"""Experiments whose images have numbers or several labels, from data to an artifact at work."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo import L2Policy, Predictor, experiment
from l2zoo.data import load
from l2zoo.studies.experiment import Training
from l2zoo.tasks import MultiLabel, Regression

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (48, 8, 8, 1), dtype=np.uint8)


def builder(numbers: int, activation: str | None):
    def build(policy: L2Policy) -> keras.Model:
        body = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        return policy.apply(keras.Sequential([*body, keras.layers.Dense(numbers, activation=activation)]))

    return build


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_an_experiment_ends_in_an_artifact_that_says_what_is_meant(kind: str, tmp_path: Path) -> None:
    if kind == "regression":
        task, build = Regression(("brightness",)), builder(1, None)
        y = X.mean(axis=(1, 2, 3)) / 255
    else:
        task, build = MultiLabel(("left", "right")), builder(2, "sigmoid")
        y = np.stack([X[:, :, :4].mean(axis=(1, 2, 3)) > 127, X[:, :, 4:].mean(axis=(1, 2, 3)) > 127], axis=1)
        y = y.astype("int64")
    train, test = (load((X[rows], y[rows]), task=kind) for rows in (slice(32), slice(32, 48)))
    outcome = experiment(
        build, task, train, test, training=Training(epochs=2), directory=tmp_path, l2=1e-4, seeds=1,
        formats=["tflite"], verbose=0,
    )  # fmt: skip
    found = Predictor(tmp_path / "artifact").predict(X[32:])
    expected = outcome.model.predict(X[32:].astype("float32"), verbose=0)
    if kind == "regression":
        np.testing.assert_allclose([one.values for one in found], expected, atol=1e-4)
        assert set(outcome.metrics) == {"mae", "rmse", "r2"}
        return
    np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-4)
    assert [one.labels for one in found] == [
        [name for name, there in zip(("left", "right"), p >= 0.5, strict=True) if there] for p in expected
    ]
    assert "f1" in outcome.metrics
