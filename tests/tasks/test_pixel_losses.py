from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo.tasks.pixel_losses import PIXELS, pixel_loss

TRUTH = np.array([[0, 255], [51, 102]], "uint8").reshape(1, 2, 1, 2, 1)
FOUND = np.array([[25.5, 204.0], [51.0, 51.0]], "float32").reshape(1, 2, 1, 2, 1)


def by_formula(name: str) -> float:
    p, q = TRUTH / 255, FOUND / 255
    each = {
        "crossentropy": -(p * np.log(q) + (1 - p) * np.log(1 - q)),
        "absolute": np.abs(p - q),
        "squared": (p - q) ** 2,
    }
    return float(each[name].mean())


@pytest.mark.backends
@pytest.mark.parametrize("name", PIXELS)
def test_losses_are_those_of_pixels_between_0_and_1(name: str) -> None:
    assert float(pixel_loss(name)(TRUTH, FOUND)) == pytest.approx(by_formula(name), rel=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("name", PIXELS)
def test_a_file_keeps_the_loss(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((1, 2, 1))
    model = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
    model.compile("sgd", pixel_loss(name))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(FOUND[0], TRUTH[0], verbose=0) == pytest.approx(by_formula(name), rel=1e-5)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="`loss` must be one of"):
        pixel_loss("hinge")
