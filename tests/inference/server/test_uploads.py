"""Image files of strangers: answers, and reasons why there are none."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from l2zoo import Predictor
from l2zoo.inference.server import uploads
from tests.inference import tiny


def file_of(image: np.ndarray, kind: str = "PNG") -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, kind)
        return file.getvalue()


class Counting(Predictor):
    """Notes how many images it is given at a time."""

    def predict(self, images, *, batch_size=32):
        self.given = [*getattr(self, "given", []), len(images)]
        return super().predict(images, batch_size=batch_size)


def test_answers_are_those_of_the_predictor_and_the_bad_ones_stay_alone(classifier):
    images = list(tiny.random_images(4, 20, 30, 3))
    files = [file_of(image) for image in images]
    predictor = Counting(classifier.folder)
    found = uploads.predict_files(predictor, [files[0], b"none", *files[1:], b""], max_pixels=3000)
    assert predictor.given == [4]  # all good ones together
    assert [status for status, _ in found] == [200, 400, 200, 200, 200, 400]
    told = [json.loads(content) for status, content in found if status == 200]
    assert told == [result.to_dict() for result in Predictor(classifier.folder).predict(images)]


def test_no_more_pixels_than_agreed_are_decoded_together(classifier):
    files = [file_of(image) for image in tiny.random_images(5, 10, 10, 3)]
    predictor = Counting(classifier.folder)
    assert [status for status, _ in uploads.predict_files(predictor, files, max_pixels=200)] == [200] * 5
    assert predictor.given == [2, 2, 1]


def test_nothing_is_predicted_where_nothing_can_be_decoded(classifier):
    predictor = Counting(classifier.folder)
    assert uploads.predict_files(predictor, [], max_pixels=100) == []
    assert uploads.predict_files(predictor, [b"none"], max_pixels=100)[0][0] == 400
    assert not hasattr(predictor, "given")


def test_no_more_pixels_are_let_in_than_pillow_allows(classifier, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    predictor = Predictor(classifier.folder)
    with pytest.raises(ValueError, match="`max_pixels` must be at most 900, got max_pixels=901: Pillow"):
        uploads.predict_files(predictor, [], max_pixels=901)
    largest = [file_of(image) for image in tiny.random_images(1, 30, 30, 3)]
    assert [status for status, _ in uploads.predict_files(predictor, largest, max_pixels=900)] == [200]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert uploads.predict_files(predictor, [], max_pixels=10**12) == []


@pytest.mark.parametrize(
    ("file", "status", "reason"),
    [
        (b"GIF89a", 400, "The image is not a PNG, JPEG, WebP, BMP or GIF image, or is damaged"),
        (file_of(tiny.random_images(8, 8), "TIFF"), 400, "is not a PNG"),
        (file_of(tiny.random_images(20, 20, 3))[:-100], 400, "cannot be decoded"),
        (file_of(np.zeros((21, 20), np.uint8)), 413, "must have at most 400 pixels"),
        (file_of(np.zeros((20_000, 10_000), bool)), 413, "must have at most 400 pixels"),
    ],
)
def test_a_reason_is_given(classifier, file, status, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ((found, content),) = uploads.predict_files(Predictor(classifier.folder), [file], max_pixels=400)
    assert found == status
    assert reason in json.loads(content)["error"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_answered(segmenter, mode):
    image = Image.fromarray(tiny.random_images(9, 7))
    image = Image.new("I;16", (7, 9), 30_000) if mode == "I;16" else image.convert(mode)
    with io.BytesIO() as file:
        image.save(file, "PNG")
        ((status, content),) = uploads.predict_files(
            Predictor(segmenter.folder), [file.getvalue()], max_pixels=100
        )
    assert status == 200
    assert np.shape(json.loads(content)["mask"]) == (9, 7)
