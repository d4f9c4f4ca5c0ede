"""What may be compared on, and what is stored of it."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from l2zoo.artifact import sample


def model(*shapes):
    """Stands for a model, of which only the input shapes matter here."""
    return SimpleNamespace(inputs=[SimpleNamespace(shape=shape) for shape in shapes])


DIGITS = model((None, 8, 8, 1))


def test_no_sample_says_what_to_give():
    with pytest.raises(ValueError, match=r"must hold real images.*got sample=None.*sample=test_images"):
        sample.check(None, DIGITS)


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (np.array([["cat"]]), TypeError, "must hold numbers"),
        (np.zeros((0, 8, 8, 1)), ValueError, r"must hold images of shape \(B, H, W, C\), got shape=\(0, 8"),
        (np.zeros((8, 8, 1)), ValueError, r"input shape \(None, 8, 8, 1\), got shape=\(8, 8, 1\)"),
        (np.zeros((5, 9, 8, 1)), ValueError, r"input shape \(None, 8, 8, 1\), got shape=\(5, 9, 8, 1\)"),
        (np.full((5, 8, 8, 1), 256), ValueError, r"raw pixels in \[0, 255\], got values in \[256, 256\]"),
        (np.full((5, 8, 8, 1), -1.0), ValueError, r"raw pixels in \[0, 255\], got values in \[-1, -1\]"),
        (np.full((5, 8, 8, 1), 0.5), ValueError, "before any scaling"),
    ],
)
def test_what_is_not_raw_pixels_is_refused(images, error, words):
    with pytest.raises(error, match=words):
        sample.check(images, DIGITS)


def test_nan_pixels_name_the_image():
    images = np.full((5, 8, 8, 1), 9.0)
    images[3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in image 3"):
        sample.check(images, DIGITS)


def test_two_inputs_are_refused():
    with pytest.raises(ValueError, match="one batch of images, got 2 inputs"):
        sample.check(np.zeros((5, 8, 8, 1), np.uint8), model((None, 8, 8, 1), (None, 3)))


def test_an_open_height_takes_the_samples():
    assert sample.check(np.zeros((5, 9, 7, 1), np.uint8), model((None, None, None, 1))).shape == (5, 9, 7, 1)


def test_a_black_image_is_fine():
    sample.check(np.zeros((1, 8, 8, 1)), DIGITS)


def test_whole_numbers_are_kept_as_bytes_spread_over_the_sample():
    images = np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1)
    few = sample.kept(images)
    assert few.dtype == np.uint8
    assert few.shape == (32, 1, 1, 1)
    assert (few[0, 0, 0, 0], few[-1, 0, 0, 0]) == (0, 99)


def test_fractions_are_kept_as_they_are():
    images = np.array([0.5, 200.25], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(sample.kept(images), images)


def test_large_images_are_few():
    assert len(sample.kept(np.zeros((40, 1024, 1024, 3), np.uint8))) == 1


def test_stored_arrays_come_back(tmp_path):
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    outputs = {"images": np.eye(2, dtype=np.float32), "output_0": np.ones((2, 3), np.float32)}
    sample.write(tmp_path / "sample.npz", images, outputs)
    back, answers = sample.read(tmp_path / "sample.npz")
    np.testing.assert_array_equal(back, images)
    assert answers.keys() == outputs.keys()
    for name in outputs:
        np.testing.assert_array_equal(answers[name], outputs[name])


def test_pickled_objects_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    objects = np.array([Bomb()], dtype=object)
    with (tmp_path / "sample.npz").open("wb") as file:
        np.savez(file, images=objects, expected_output_0=objects)
    with pytest.raises(ValueError, match=r"not the sample of an artifact: Object arrays cannot be loaded"):
        sample.read(tmp_path / "sample.npz")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path):
    path = tmp_path / "sample.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w") as entry,
    ):
        for _ in range(300):
            entry.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match="unpacks to 314572800 bytes"):
        sample.read(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"expected_y": np.zeros((2, 3))},
        {"images": np.zeros((2, 1))},
        {"images": np.zeros((2, 1)), "expected_y": np.zeros((3, 3))},
        {"images": np.zeros((0, 1)), "expected_y": np.zeros((0, 3))},
        {"images": np.zeros(()), "expected_y": np.zeros((3, 3))},
    ],
)
def test_a_sample_without_an_answer_for_each_image_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "sample.npz", **arrays)
    with pytest.raises(ValueError, match="not the sample of an artifact"):
        sample.read(tmp_path / "sample.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "sample.npz").write_bytes(b"digits")
    with pytest.raises(ValueError, match="File is not a zip file"):
        sample.read(tmp_path / "sample.npz")
