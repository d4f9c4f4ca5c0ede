"""Judging drawn images, by classifiers and sets whose answers are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.data import ImageData, load
from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusing import judging
from l2zoo.tasks.diffusing.frechet import frechet_distance
from l2zoo.tasks.diffusing.judging import Judge, features_of


def brightness(classes: int = 2) -> keras.Model:
    """Calls dark images class 0 and bright ones class 1; its last features are the image's mean."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(layers.GlobalAveragePooling2D()(inputs))
    outputs = layers.Dense(classes, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    model.layers[-1].set_weights([np.array([[-9.0, 9.0]]), np.array([4.5, -4.5])])
    return model


def plain(count: int, seed: int) -> ImageData:
    """Images that are dark or bright all over."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    levels = rng.integers(0, 100, count) + 155 * labels
    return load((np.broadcast_to(levels[:, None, None, None], (count, 8, 8, 1)).astype("uint8"), labels))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What `sample` gives: bright where class 1 was asked for, but for the first of them."""
    asked = []

    def sample(model: keras.Model, n: int, *, labels: np.ndarray | None, **_: object) -> np.ndarray:
        asked.append(labels)
        wanted = np.arange(n) % 2 if labels is None else labels
        images = np.where(wanted[:, None, None, None] == 1, 220, 40) * np.ones((n, 8, 8, 1))
        images[1] = 40
        return images.astype("uint8")

    monkeypatch.setattr(judging, "sample", sample)
    return asked


def denoiser(num_classes: int | None) -> keras.Model:
    return build_diffusion((8, 8, 1), num_classes=num_classes, filters=(8,), attention=0)


def test_what_the_classifier_sees_is_compared_with_what_was_asked_for(drawn: list) -> None:
    train, test = plain(40, seed=0), plain(30, seed=1)
    found = Judge(train, brightness(), n=20).measure(denoiser(2), test)
    assert drawn[0].tolist() == [0, 1] * 10
    assert found["class_accuracy"] == pytest.approx(19 / 20)
    means = [x.arrays()[0].mean(axis=(1, 2)) / 255.0 for x in (train, test)]
    images = np.array([40] * 11 + [220] * 9)[:, None] / 255.0
    assert found["frechet"] == pytest.approx(frechet_distance(images, means[1]), rel=1e-4)
    assert found["frechet_train"] < found["frechet_noise"]
    assert 0 <= found["copying"] <= 1


def test_without_a_classifier_pixels_are_compared(drawn: list) -> None:
    train, test = plain(40, seed=0), plain(30, seed=1)
    found = Judge(train, n=20).measure(denoiser(None), test)
    assert drawn == [None]
    assert set(found) == {"frechet", "frechet_train", "frechet_noise", "copying"}
    # All pixels are equal: each of the 64 is as far as the one mean is.
    means = test.arrays()[0].mean(axis=(1, 2)) / 255.0
    images = np.array([40] * 11 + [220] * 9)[:, None] / 255.0
    assert found["frechet"] == pytest.approx(64 * frechet_distance(images, means), rel=1e-6)


def test_copies_of_training_images_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    train, test = (
        load((rng.integers(0, 256, (30, 8, 8, 1)).astype("uint8"), np.arange(30) % 2)) for _ in "ab"
    )
    monkeypatch.setattr(judging, "sample", lambda *_, **__: train.arrays()[0])
    assert Judge(train, n=30).measure(denoiser(2), test)["copying"] == 1.0
    monkeypatch.setattr(judging, "sample", lambda *_, **__: test.arrays()[0])
    assert Judge(train, n=30).measure(denoiser(2), test)["copying"] == 0.5


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`n` must be a whole number >= 2, got n=1"):
        Judge(plain(4, seed=0), n=1)
    with pytest.raises(ValueError, match="must end in a Dense layer, got 'flat'"):
        features_of(keras.Sequential([keras.Input((2,)), layers.Flatten()], name="flat"))


def test_drawing_shows_progress_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def sample(model: keras.Model, n: int, *, progress: bool, **_: object) -> np.ndarray:
        shown.append(progress)
        return np.zeros((n, 8, 8, 1), "uint8")

    monkeypatch.setattr(judging, "sample", sample)
    for wanted in (True, False):
        Judge(plain(4, seed=0), n=4, progress=wanted).measure(denoiser(None), plain(4, seed=1))
    assert shown == [True, False]
