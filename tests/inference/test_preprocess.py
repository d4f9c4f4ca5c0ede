"""Images reach a predictor as they reached the model in training, and what is none is a clear error."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from l2zoo.data.preprocessing.resizing import resize as in_training
from l2zoo.data.preprocessing.resizing import resize_mask, resize_pixels
from l2zoo.inference import preprocess
from tests.inference.tiny import random_images


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (37, 23), (1, 1), (5, 90), (200, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_are_resized_as_in_training(size, channels):
    image = random_images(37, 53, channels)
    found = resize_pixels(image, size)
    expected = np.asarray(in_training(image, size)).astype(int)
    assert found.dtype == np.uint8
    assert found.shape == (*size, channels)
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= 1  # where the last bit of a float decides how a half is rounded
    assert (off > 0).mean() < 0.01


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (200, 10)])
def test_floats_are_resized_as_in_training(size):
    image = np.random.default_rng(0).uniform(0, 255, (37, 53, 3)).astype(np.float32)
    found = resize_pixels(image, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_training(image, size), atol=1e-3)


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (37, 53), (11, 101)])
def test_masks_come_back_by_the_nearest_pixel_as_tensorflow_has_it(size):
    mask = random_images(37, 53)
    expected = tf.image.resize(mask[..., None], size, method="nearest")[..., 0]
    assert (
        resize_mask(mask, size) == expected.numpy()
    ).mean() > 0.97  # a middle between two may go to either
    up = random_images(4, 6)
    np.testing.assert_array_equal(resize_mask(up, (8, 18)), up.repeat(2, axis=0).repeat(3, axis=1))


def test_a_coloured_image_becomes_grey_and_a_grey_one_coloured_as_the_model_takes_it():
    image = Image.fromarray(random_images(4, 4, 3))
    grey = preprocess.read_pixels(image, channels=1, where="it")
    red, green, blue = np.moveaxis(np.asarray(image, float), -1, 0)
    np.testing.assert_allclose(grey[..., 0], 0.299 * red + 0.587 * green + 0.114 * blue, atol=1)  # ITU-R 601
    again = preprocess.read_pixels(Image.fromarray(grey[..., 0]), channels=3, where="it")
    np.testing.assert_array_equal(again, grey.repeat(3, axis=-1))
    floats = Image.fromarray(grey[..., 0].astype(np.float32))
    np.testing.assert_array_equal(preprocess.read_pixels(floats, channels=3, where="it"), again)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.webp"])
def test_a_broken_file_is_a_clear_error_that_names_it(tmp_path, name):
    whole = tmp_path / name
    Image.fromarray(random_images(40, 40, 3)).save(whole)
    content = whole.read_bytes()
    rng = np.random.default_rng(0)
    cuts = [0, 1, 10, *rng.integers(11, len(content), 10)]
    for broken in [*(content[:cut] for cut in cuts), *(flipped(content, rng) for _ in range(20))]:
        whole.write_bytes(broken)
        words, found = "", None
        try:
            found = preprocess.read_pixels(whole, channels=3, where="it")
        except ValueError as error:
            words = str(error)
        # A decoder may forgive much, and call black what is missing.
        assert name in words if found is None else found.shape[2] == 3


def flipped(content, rng):
    """The bytes with one bit changed."""
    position = int(rng.integers(len(content)))
    return (
        content[:position] + bytes([content[position] ^ 1 << int(rng.integers(8))]) + content[position + 1 :]
    )


@pytest.mark.parametrize("text", ["", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "<svg/>"])
def test_what_is_no_image_is_not_opened_by_another_program(tmp_path, text):
    path = tmp_path / "image.png"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"image\.png is not a PNG, JPEG, .* image"):
        preprocess.read_pixels(path, channels=3, where="it")


@pytest.mark.parametrize("times", [1, 3])
def test_the_limit_of_pillow_on_pixels_is_kept(tmp_path, monkeypatch, times):
    path = tmp_path / "large.png"
    image = Image.fromarray(random_images(20, 30 * times, 3))
    image.save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow warns from here, and raises at twice as many
    for action in ("ignore", "error"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            with pytest.raises(ValueError, match="more pixels than Pillow allows"):
                preprocess.read_pixels(path, channels=3, where="it")
    with pytest.raises(ValueError, match=r"Image 3 has more pixels than Pillow allows \(500\)"):
        preprocess.read_pixels(image, channels=3, where="Image 3")
