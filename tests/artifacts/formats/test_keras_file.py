"""`model.keras`: large weights that float16 holds take half the bytes, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo.artifacts.formats import keras_file

SIDES = 64, 32  # 2,048 numbers


def model_with(kernel: np.ndarray, *, compiled: bool = False) -> keras.Model:
    inputs = keras.Input((SIDES[0],))
    model = keras.Model(inputs, keras.layers.Dense(SIDES[1], kernel_regularizer="l2", name="dense")(inputs))
    model.get_layer("dense").set_weights([kernel, np.full(SIDES[1], 0.1, "float32")])
    if compiled:
        model.compile("adam", "mse")
        model.train_on_batch(np.zeros((1, SIDES[0])), np.zeros((1, SIDES[1])))
    return model


def kernel(*, rounded: bool) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=SIDES).astype("float32")
    return values.astype("float16").astype("float32") if rounded else values


def written(model: keras.Model, folder: Path) -> dict[str, Any]:
    source: Any = SimpleNamespace(model=model)
    keras_file.write(source, folder / "model.keras")
    return keras_file.contents(folder / "model.keras")


@pytest.mark.backends
def test_a_large_weight_of_float16_numbers_is_stored_in_half_and_loaded_as_it_was(tmp_path: Path) -> None:
    model = model_with(kernel(rounded=True))
    assert written(model, tmp_path)["weights"] == {"float16": 1, "float32": 1}
    again = keras.saving.load_model(tmp_path / "model.keras")
    for mine, theirs in zip(again.weights, model.weights, strict=True):
        assert mine.dtype == "float32"
        np.testing.assert_array_equal(mine, theirs)
    assert len(again.losses) == 1
    model.save(tmp_path / "keras_own.keras")
    sizes = [(tmp_path / name).stat().st_size for name in ("keras_own.keras", "model.keras")]
    assert sizes[0] - sizes[1] >= 2 * kernel(rounded=True).size


@pytest.mark.parametrize("large", [1.0, 1e6])
def test_numbers_that_float16_does_not_hold_stay_as_they_are(large: float, tmp_path: Path) -> None:
    values = kernel(rounded=large > 1)
    values[0, 0] = large  # 1e6 is beyond its range
    model = model_with(values)
    assert written(model, tmp_path)["weights"] == {"float32": 2}
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras").get_weights()[0], values)


def test_the_optimizer_s_state_is_not_touched(tmp_path: Path) -> None:
    model = model_with(np.zeros(SIDES, "float32"), compiled=True)
    model.get_layer("dense").kernel.assign(kernel(rounded=True))
    found = written(model, tmp_path)
    assert found["weights"]["float16"] == 1
    assert "float16" not in found["optimizer"]
    again = keras.saving.load_model(tmp_path / "model.keras")
    for mine, theirs in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)
