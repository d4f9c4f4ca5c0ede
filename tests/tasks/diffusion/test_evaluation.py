"""Judging drawn images, by classifiers and sets whose answers are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.data import ImageData, load
from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusion import evaluation
from l2zoo.tasks.diffusion.evaluation import Judge, feature_model
from l2zoo.tasks.diffusion.feature_distances import frechet_distance


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

    monkeypatch.setattr(evaluation, "sample", sample)
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
    assert found["class_accuracy_real"] == 1.0  # dark and bright can be told apart
    assert "class_accuracy_unguided" not in found


def test_the_classifier_s_own_accuracy_on_real_images_is_told(drawn: list) -> None:
    x, y = plain(30, seed=1).arrays()
    wrong = np.where(np.arange(30) < 6, 1 - y, y)  # what a classifier that is right cannot agree with
    found = Judge(plain(40, seed=0), brightness(), n=20).measure(denoiser(2), load((x, wrong)))
    assert found["class_accuracy_real"] == pytest.approx(24 / 30)


def test_a_guided_judge_tells_the_accuracy_without_guidance_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def sample(
        model: keras.Model, n: int, *, labels: np.ndarray, guidance: float, **others: object
    ) -> object:
        asked.append((guidance, others["steps"], others["seed"]))
        wrong = np.arange(n) < (5 if guidance == 1 else 1)
        return np.where(labels ^ wrong, 220, 40)[:, None, None, None] * np.ones((n, 8, 8, 1), "uint8")

    monkeypatch.setattr(evaluation, "sample", sample)
    judge = Judge(plain(40, seed=0), brightness(), n=20, steps=7, guidance=3.0, seed=4)
    found = judge.measure(denoiser(2), plain(30, seed=1))
    assert asked == [(3.0, 7, 4), (1.0, 7, 4)]
    assert found["class_accuracy"] == pytest.approx(19 / 20)
    assert found["class_accuracy_unguided"] == pytest.approx(15 / 20)
    assert judge.says == "Judged with 7 steps of DDIM and a guidance of 3."
    assert Judge(plain(4, seed=0)).says == "Judged with 50 steps of DDIM."


def test_without_a_classifier_pixels_are_compared(drawn: list) -> None:
    train, test = plain(40, seed=0), plain(30, seed=1)
    found = Judge(train, n=20).measure(denoiser(None), test)
    assert drawn == [None]
    assert set(found) == {
        "frechet", "frechet_train", "frechet_noise", "copying", "nearest_train", "nearest_test"
    }  # fmt: skip
    # All pixels are equal: each of the 64 is as far as the one mean is.
    means = test.arrays()[0].mean(axis=(1, 2)) / 255.0
    images = np.array([40] * 11 + [220] * 9)[:, None] / 255.0
    assert found["frechet"] == pytest.approx(64 * frechet_distance(images, means), rel=1e-6)


def test_copies_of_training_images_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    train, test = (
        load((rng.integers(0, 256, (30, 8, 8, 1)).astype("uint8"), np.arange(30) % 2)) for _ in "ab"
    )
    monkeypatch.setattr(evaluation, "sample", lambda *_, **__: train.arrays()[0])
    assert Judge(train, n=30).measure(denoiser(2), test)["copying"] == 1.0
    monkeypatch.setattr(evaluation, "sample", lambda *_, **__: test.arrays()[0])
    assert Judge(train, n=30).measure(denoiser(2), test)["copying"] == 0.5


def test_distances_to_the_nearest_images_are_told_in_pixels(drawn: list) -> None:
    # Drawn are 11 images of 40 and 9 of 220: all pixels of an image are equal, and so is every difference.
    train = load((np.full((2, 8, 8, 1), 50, "uint8"), np.array([0, 1])))
    test = load((np.full((2, 8, 8, 1), 43, "uint8"), np.array([0, 1])))
    for classifier in (None, brightness()):
        found = Judge(train, classifier, n=20).measure(denoiser(2), test)
        assert found["nearest_train"] == pytest.approx(10)
        assert found["nearest_test"] == pytest.approx(3)


def test_new_images_of_the_training_s_own_kind_say_what_others_than_copies_score(drawn: list) -> None:
    def of(*levels: int) -> ImageData:
        pixels = np.array(levels, "uint8")[:, None, None, None] * np.ones((1, 8, 8, 1), "uint8")
        return load((pixels, np.arange(len(levels)) % 2))

    # Nearest training images of test: 30 and 40 away; of fresh: 10, 35, 50.
    train, test, fresh = of(0, 100), of(130, 60), of(110, 135, 150)
    found = Judge(train, n=20, fresh=fresh).measure(denoiser(None), test)
    assert found["copying_fresh"] == pytest.approx((1 + 0.5 + 0) / 3)
    with pytest.raises(
        ValueError, match=r"`fresh` must hold images like those of `train`, \(8, 8, 1\), got \(4"
    ):
        Judge(train, fresh=load((np.zeros((2, 4, 8, 1)), [0, 1])))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`n` must be a whole number >= 2, got n=1"):
        Judge(plain(4, seed=0), n=1)
    with pytest.raises(ValueError, match="`steps` must be a whole number >= 1, got steps=0"):
        Judge(plain(4, seed=0), steps=0)
    with pytest.raises(ValueError, match="`guidance` must be a finite number >= 0, got guidance=-1"):
        Judge(plain(4, seed=0), guidance=-1.0)
    with pytest.raises(ValueError, match="`seed` must be a whole number >= 0, got seed=-1"):
        Judge(plain(4, seed=0), seed=-1)
    with pytest.raises(ValueError, match=r"`classifier` must take images like those of `train`, \(4, 4, 1\)"):
        Judge(load((np.zeros((2, 4, 4, 1)), [0, 1])), brightness())
    with pytest.raises(ValueError, match=r"`test` must hold images like those of `train`"):
        Judge(plain(4, seed=0)).measure(denoiser(2), load((np.zeros((2, 4, 4, 1)), [0, 1])))
    with pytest.raises(ValueError, match=r"`model` must draw images like those of `train`, \(4, 4, 1\)"):
        Judge(load((np.zeros((2, 4, 4, 1)), [0, 1]))).measure(denoiser(2), plain(4, seed=0))
    with pytest.raises(ValueError, match="must end in a Dense layer, got 'flat'"):
        feature_model(keras.Sequential([keras.Input((2,)), layers.Flatten()], name="flat"))


def test_drawing_shows_progress_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def sample(model: keras.Model, n: int, *, progress: bool, **_: object) -> np.ndarray:
        shown.append(progress)
        return np.zeros((n, 8, 8, 1), "uint8")

    monkeypatch.setattr(evaluation, "sample", sample)
    for wanted in (True, False):
        Judge(plain(4, seed=0), n=4, progress=wanted).measure(denoiser(None), plain(4, seed=1))
    assert shown == [True, False]
