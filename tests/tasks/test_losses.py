"""Losses by name, against NumPy by hand."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from l2zoo.tasks import losses

pytestmark = pytest.mark.backends

rng = np.random.default_rng(0)
MASKS = rng.integers(0, 3, (2, 4, 4))
ONE_HOT = np.eye(3, dtype="float32")[MASKS]
PROBABILITIES = rng.dirichlet(np.ones(3), (2, 4, 4)).astype("float32")
SOME = ONE_HOT * (np.arange(4) > 0)[:, None]  # the first column is not labelled


def value(loss: keras.losses.Loss, y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float(ops.convert_to_numpy(loss(y_true, y_pred)))


def test_crossentropy_spreads_the_share_that_is_smoothed_over_all_classes() -> None:
    labels, found = np.eye(3, dtype="float32")[[0, 2]], PROBABILITIES[0, 0, :2]
    smoothed = 0.9 * labels + 0.1 / 3
    expected = -(smoothed * np.log(found)).sum(axis=1).mean()
    loss = losses.classification_loss("crossentropy", label_smoothing=0.1)
    assert value(loss, labels, found) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_forgives_what_is_nearly_right() -> None:
    labels, found = np.eye(3, dtype="float32")[[0, 2]], PROBABILITIES[0, 0, :2]
    right = found[[0, 1], [0, 2]]
    expected = (-0.25 * (1 - right) ** 2 * np.log(right)).mean()
    assert value(losses.classification_loss("focal"), labels, found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_pixels_without_a_label_do_not_count(name: str) -> None:
    right = np.take_along_axis(PROBABILITIES, MASKS[..., None], axis=-1)[:, :, 1:, 0]
    weight = 0.25 * (1 - right) ** 2 if name == "focal" else 1.0
    expected = (-weight * np.log(right)).mean()
    assert value(losses.segmentation_loss(name), SOME, PROBABILITIES) == pytest.approx(expected, rel=1e-5)
    smoothed = losses.segmentation_loss(name, label_smoothing=0.1)
    elsewhere = PROBABILITIES.copy()
    elsewhere[:, :, 0] = (0.8, 0.1, 0.1)
    assert value(smoothed, SOME, elsewhere) == pytest.approx(value(smoothed, SOME, PROBABILITIES), rel=1e-5)


def test_dice_is_the_mean_over_the_classes_of_a_batch() -> None:
    labelled = PROBABILITIES * (SOME.sum(axis=-1, keepdims=True) > 0)
    shared = (SOME * labelled).sum(axis=(0, 1, 2))
    expected = (1 - 2 * shared / (SOME.sum(axis=(0, 1, 2)) + labelled.sum(axis=(0, 1, 2)))).mean()
    assert value(losses.segmentation_loss("dice"), SOME, PROBABILITIES) == pytest.approx(expected, rel=1e-5)


def test_tversky_weighs_what_is_missed_more_than_what_is_found_wrongly() -> None:
    axes = (0, 1, 2)
    shared = (ONE_HOT * PROBABILITIES).sum(axis=axes)
    missed = (ONE_HOT * (1 - PROBABILITIES)).sum(axis=axes)
    wrong = ((1 - ONE_HOT) * PROBABILITIES).sum(axis=axes)
    expected = (1 - shared / (shared + 0.7 * missed + 0.3 * wrong)).mean()
    found = value(losses.segmentation_loss("tversky"), ONE_HOT, PROBABILITIES)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", losses.SEGMENTATION)
def test_a_batch_without_any_label_has_a_finite_loss(name: str) -> None:
    loss = losses.segmentation_loss(name)
    assert np.isfinite(value(loss, np.zeros_like(ONE_HOT), PROBABILITIES))


def test_losses_can_be_added() -> None:
    parts = [value(losses.segmentation_loss(name), SOME, PROBABILITIES) for name in ("dice", "crossentropy")]
    both = losses.segmentation_loss("dice+crossentropy")
    assert value(both, SOME, PROBABILITIES) == pytest.approx(sum(parts), rel=1e-6)


@pytest.mark.parametrize("name", [*losses.SEGMENTATION, "dice+crossentropy"])
def test_a_loss_of_pixels_survives_its_config(name: str) -> None:
    loss = losses.segmentation_loss(name)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert value(again, SOME, PROBABILITIES) == value(loss, SOME, PROBABILITIES)


def test_unknown_names_and_shares_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`loss` must be one of \['crossentropy', .*\], got loss='hinge'"):
        losses.classification_loss("hinge")
    with pytest.raises(ValueError, match=r"`label_smoothing` must be in \[0, 1\), got label_smoothing=1"):
        losses.classification_loss("focal", label_smoothing=1)
    with pytest.raises(TypeError, match="`label_smoothing` must be a number, got label_smoothing='x'"):
        losses.segmentation_loss("crossentropy", label_smoothing="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="loss='dice' compares areas"):
        losses.segmentation_loss("dice", label_smoothing=0.1)


TRUE_PIXELS = np.array([[0, 255], [51, 102]], "uint8").reshape(1, 2, 1, 2, 1)
FOUND_PIXELS = np.array([[25.5, 204.0], [51.0, 51.0]], "float32").reshape(1, 2, 1, 2, 1)


def mean_error(name: str) -> float:
    p, q = TRUE_PIXELS / 255, FOUND_PIXELS / 255
    each = {
        "crossentropy": -(p * np.log(q) + (1 - p) * np.log(1 - q)),
        "absolute": np.abs(p - q),
        "squared": (p - q) ** 2,
    }
    return float(each[name].mean())


@pytest.mark.parametrize("name", losses.PIXELS)
def test_pixel_losses_are_those_of_pixels_between_0_and_1(name: str) -> None:
    assert float(losses.pixel_loss(name)(TRUE_PIXELS, FOUND_PIXELS)) == pytest.approx(
        mean_error(name), rel=1e-5
    )


@pytest.mark.parametrize("name", losses.PIXELS)
def test_a_file_keeps_the_pixel_loss(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((1, 2, 1))
    model = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
    model.compile("sgd", losses.pixel_loss(name))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(FOUND_PIXELS[0], TRUE_PIXELS[0], verbose=0) == pytest.approx(
        mean_error(name), rel=1e-5
    )


def test_an_unknown_pixel_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="`loss` must be one of"):
        losses.pixel_loss("hinge")
