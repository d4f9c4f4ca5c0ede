"""How a model is compiled for a training: mixed precision lasts as long, and spares weights and outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo.training import compilation, fit
from l2zoo.training.compilation import mixed_policy, mixed_precision

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[..., keras.Model]


class Look(keras.callbacks.Callback):
    """Writes down how the model computes while it trains."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.layers = {layer.name: layer.dtype_policy.name for layer in self.model.layers}
        self.penalties = [keras.backend.standardize_dtype(loss.dtype) for loss in self.model.losses]
        self.weights = {keras.backend.standardize_dtype(weight.dtype) for weight in self.model.weights}
        self.optimizer = type(self.model.optimizer).__name__


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_layers_compute_in_16_bits_and_the_rest_in_32(
    policy: str, quick: Build, train: Arrays, held_out: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_has_gpu", lambda: policy == "mixed_float16")
    look, model = Look(), quick(0)
    logs = fit(
        model,
        train,
        validation=held_out,
        epochs=2,
        l2=1e-2,
        mixed_precision=True,
        callbacks=[look],
        verbose=0,
    ).history
    assert look.layers["hidden"] == look.layers["norm"] == policy
    assert look.layers["probabilities"] == "float32"
    assert look.penalties == ["float32", "float32"]
    assert look.weights == {"float32"}
    assert look.optimizer == ("LossScaleOptimizer" if policy == "mixed_float16" else "Adam")
    assert np.isfinite(list(logs.values())).all()
    for loss, data_loss, penalty in zip(
        logs["val_loss"], logs["val_data_loss"], logs["l2_penalty"], strict=True
    ):
        assert loss == pytest.approx(data_loss + penalty, abs=1e-6)

    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert type(model.optimizer).__name__ == "Adam"
    model.evaluate(*held_out, verbose=0)


def test_the_scale_of_the_loss_is_resumed_too(
    quick: Build, train: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_has_gpu", lambda: True)

    def run(name: str, epochs: int, seed: int) -> list[float]:
        settings = {"epochs": epochs, "run_dir": tmp_path / name, "verbose": 0}
        return fit(quick(seed), train, l2=1e-2, mixed_precision=True, **settings).history["loss"]

    run("resumed", 1, seed=0)
    resumed, whole = run("resumed", 2, seed=1), run("whole", 2, seed=0)
    np.testing.assert_allclose(resumed, whole, atol=1e-6, rtol=0)


def test_the_loss_is_close_to_that_of_float32(quick: Build, digits: Arrays) -> None:
    some = digits[0][:200], digits[1][:200]
    exact, mixed = (
        fit(quick(0), some, epochs=1, l2=1e-2, mixed_precision=mixed, verbose=0).history["loss"][0]
        for mixed in (False, True)
    )
    assert mixed == pytest.approx(exact, rel=0.02)
    assert mixed != exact


def test_layers_inside_layers_change_and_those_of_another_type_do_not() -> None:
    inputs = keras.Input((4, 6))
    attention = keras.layers.MultiHeadAttention(2, 3, name="attention")
    x = keras.layers.Dense(5, dtype="float64", name="double")(attention(inputs, inputs))
    inner = keras.Sequential([keras.layers.Dense(3, name="inner"), keras.layers.Dense(2, name="end")])
    model = keras.Model(inputs, inner(x))
    with mixed_precision(model, "mixed_bfloat16"):
        found = {layer.name: layer.dtype_policy.name for layer in model._flatten_layers()}
        assert found["attention"] == found["query"] == found["inner"] == "mixed_bfloat16"
        assert found["double"] == "float64"
        assert found["end"] == "float32"
        assert keras.backend.standardize_dtype(model(np.zeros((1, 4, 6))).dtype) == "float32"
    assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {"float32", "float64"}


def test_a_model_without_a_float32_layer_is_refused(train: Arrays) -> None:
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(
        inputs, keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten(dtype="float64")(inputs))
    )
    with (
        pytest.raises(ValueError, match="`mixed_precision=True` found no float32 layer but the last"),
        mixed_precision(model, "mixed_bfloat16"),
    ):
        pass


def test_a_cpu_computes_in_bfloat16() -> None:
    import tensorflow as tf

    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    assert mixed_policy() == ("mixed_float16" if on_gpu else "mixed_bfloat16")
