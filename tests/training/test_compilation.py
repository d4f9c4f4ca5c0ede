"""How a model is compiled for a training: mixed precision lasts as long, and spares weights and outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import L2Policy
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


class Counts(keras.layers.Layer):
    """How often its Python ran: once a trace."""

    traces = 0
    factor = 1.0

    def call(self, x: Any) -> Any:
        Counts.traces += 1
        return x * self.factor


def counted(**settings: Any) -> keras.Model:
    layers = [keras.layers.Flatten(), Counts(name="counts"), keras.layers.Dropout(0.2, name="dropout")]
    softmax = keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), *layers, softmax])
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", **settings})
    return model


def traces_of(model: keras.Model, data: Arrays, **settings: Any) -> int:
    before = Counts.traces
    fit(model, data, epochs=1, verbose=0, **settings)
    return Counts.traces - before


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_fit_called_again_traces_nothing_that_did_not_change(train: Arrays, held_out: Arrays) -> None:
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly: there is nothing to trace.")
    model = counted()
    assert traces_of(model, train, validation=held_out) > 0
    assert traces_of(model, train, validation=held_out) == 0
    assert traces_of(model, train) == 0
    assert traces_of(model, train, l2=1e-3) > 0
    assert traces_of(model, train, l2=L2Policy(1e-3)) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.get_layer("dropout"), "rate", 0.5),
        lambda model: setattr(model.get_layer("counts"), "factor", 2.0),
        lambda model: setattr(model.optimizer, "clipnorm", 1.0),
        lambda model: model.compile("sgd", "sparse_categorical_crossentropy"),
    ],
    ids=["rate", "factor", "clipnorm", "compile"],
)
@pytest.mark.slow
def test_what_changes_a_graph_is_traced_anew(change: Callable[[keras.Model], None], train: Arrays) -> None:
    model = counted()
    traces_of(model, train)
    change(model)
    assert traces_of(model, train) > 0


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_new_strength_counts_though_the_old_graphs_are_kept(train: Arrays) -> None:
    data = train[0] / 255.0, train[1]

    def shrinks(strength: float) -> float:
        model.optimizer.learning_rate = 1e-3
        before = np.linalg.norm(model.layers[-1].get_weights()[0])
        fit(model, data, epochs=2, l2=strength, verbose=0)
        return float(np.linalg.norm(model.layers[-1].get_weights()[0]) / before)

    model = counted(optimizer=keras.optimizers.SGD(1e-3), loss="sparse_categorical_crossentropy")
    for strength in (1e-3, 100.0, 1e-3):
        # Four steps, each of which takes `2 * learning rate * strength` off; the data's part is small.
        expected = (1 - 2e-3 * strength) ** 4
        assert shrinks(strength) == pytest.approx(expected, abs=0.01)


def test_the_graph_of_the_models_own_fit_is_kept_too(train: Arrays) -> None:
    model = counted()
    model.fit(*train, verbose=0)
    function = model.train_function
    fit(model, train, epochs=1, verbose=0)
    assert model.train_function is function


def test_compile_sets_nothing_that_is_not_kept() -> None:
    """Of which `compile_for_fit` makes its switch; Keras may come to set more."""
    model = counted()
    before = dict(vars(model))
    keras.Model.compile(model, "sgd", "mse", metrics=["mae"], jit_compile=True, steps_per_execution=2)
    changed = {name for name, value in vars(model).items() if before.get(name) is not value}
    assert changed <= set(compilation._COMPILED)
