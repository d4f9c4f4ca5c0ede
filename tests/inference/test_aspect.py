"""An artifact treats images of another aspect as its training did, and answers in the images' own pixels."""

from __future__ import annotations

import json
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from l2zoo import Predictor
from l2zoo.artifacts import Card, export
from l2zoo.data import load
from l2zoo.data.preprocessing.aspect import ASPECTS
from l2zoo.inference.plots import plot_results
from l2zoo.inference.postprocess import View
from tests.data.preprocessing.test_pixels import exif_of
from tests.inference import tiny

SIZE = (8, 12)


@pytest.fixture(scope="module", params=ASPECTS)
def mirror(request, tmp_path_factory):
    """A predictor whose answer is what its model saw, trained with one aspect."""
    inputs = keras.Input((*SIZE, 3), name="images")
    model = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
    folder = tmp_path_factory.mktemp("mirror") / request.param
    card = Card(task="regression", output_kind="values", aspect=request.param)
    sample = tiny.random_images(4, *SIZE, 3)
    export(model, folder, sample=sample, formats=["tflite"], card=card, limits=tiny.wide())
    return Predictor(folder), request.param


def test_the_model_sees_what_it_saw_in_training(mirror, tmp_path):
    predictor, aspect = mirror
    for number, size in enumerate([(30, 20), (20, 31), (8, 12), (16, 24), (5, 90)]):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        image = Image.fromarray(tiny.random_images(*size, 3, seed=number))
        image.save(tmp_path / "ab"[number % 2] / f"{number}.png", exif=exif_of(6 if number == 1 else 1))
    data = load(f"folder:{tmp_path}", image_size=SIZE, aspect=aspect)
    found = predictor.predict([str(file) for file in data.source.files])
    expected = data.arrays()[0].astype(int)
    seen = np.stack([one.values for one in found])
    off = np.abs(seen - expected)
    assert off.max() <= 1.001  # where the last bit of a float decides how a half is rounded
    assert (off > 0.5).mean() < 0.01


def test_the_manifest_and_the_card_say_how(mirror):
    predictor, aspect = mirror
    assert json.loads((predictor.folder / "manifest.json").read_text())["aspect"] == aspect
    text = (predictor.folder / "README.md").read_text()
    assert ("cropped to it" in text, "padded to it" in text) == (aspect == "crop", aspect == "pad")


def test_another_aspect_is_refused():
    with pytest.raises(ValueError, match=r"`aspect` must be one of \['stretch', 'crop', 'pad'\]"):
        Card(aspect="letterbox")


@pytest.fixture(scope="module", params=ASPECTS)
def brightest(request, tmp_path_factory):
    """A segmenter that says of each pixel which of its three channels is the brightest."""
    inputs = keras.Input((16, 16, 3), name="images")
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Rescaling(1 / 64)(inputs)))
    folder = tmp_path_factory.mktemp("brightest") / request.param
    card = Card(task="segmentation", class_names=tiny.NAMES, aspect=request.param)
    export(model, folder, sample=tiny.random_images(4, 16, 16, 3), formats=["tflite"], card=card)
    return Predictor(folder), request.param


@pytest.mark.parametrize("size", [(32, 64), pytest.param((64, 32), marks=pytest.mark.slow), (48, 48)])
def test_masks_come_back_in_the_image_s_own_pixels(brightest, tmp_path, size):
    predictor, aspect = brightest
    truth = np.zeros(size, np.uint8)
    truth[: size[0] // 2, size[1] // 2 :], truth[size[0] // 2 :, : size[1] // 2] = 1, 2
    image = np.eye(3, dtype=np.uint8)[truth] * 255
    (result,) = predictor.predict(image)
    short, cropped = min(size), aspect == "crop" and size[0] != size[1]
    inside = np.zeros(size, bool)
    top, left = ((side - short) // 2 if cropped else 0 for side in size)
    inside[top : size[0] - top, left : size[1] - left] = True
    assert (result.mask[inside] == truth[inside]).mean() > 0.97
    assert (result.mask[~inside] == 255).all()
    assert sum(result.shares.values()) == pytest.approx(inside.mean())
    plot_results([image], [result], tmp_path / "said.png")


def test_boxes_come_back_in_the_image_s_own_pixels():
    seen = np.array([[4, 4, 12, 12], [0, 0, 16, 16]], np.float32)
    expected = {  # of 40x80, seen at 16x16, by hand
        "stretch": [[20, 10, 60, 30], [0, 0, 80, 40]],
        "crop": [[30, 10, 50, 30], [20, 0, 60, 40]],
        "pad": [[20, 0, 60, 40], [0, 0, 80, 40]],
    }
    for aspect, boxes in expected.items():
        np.testing.assert_allclose(View.of((40, 80), (16, 16), aspect).boxes(seen), boxes)


def test_manifests_from_before_stretch(classifier, tmp_path):
    from l2zoo.artifacts import manifest

    content = {key: value for key, value in manifest.read(classifier.folder).items() if key != "aspect"}
    (tmp_path / "old").mkdir()
    for path in content["files"]:
        (tmp_path / "old" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "old" / path).write_bytes((classifier.folder / path).read_bytes())
    content.pop("sha256")
    manifest.write(tmp_path / "old", content)
    images = tiny.random_images(2, 20, 31, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        old, new = (Predictor(folder).predict(images) for folder in (tmp_path / "old", classifier.folder))
    np.testing.assert_array_equal([one.probabilities for one in old], [one.probabilities for one in new])
