"""`l2zoo_photos` is cut out of scikit-learn's photographs: always alike, test apart from train."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import sklearn.datasets

from l2zoo.data import load
from l2zoo.data.builtin import photos


@pytest.fixture
def columns_as_colours(monkeypatch):
    """Photographs of which each pixel is a quarter of its column."""

    class Bunch:
        column = np.arange(640)
        image = np.broadcast_to((column // 4)[:, None], (427, 640, 3)).astype(np.uint8)
        images = (image, image)

    monkeypatch.setattr(sklearn.datasets, "load_sample_images", Bunch)


def test_train_and_test_share_no_part_of_a_photograph():
    for photograph, seen, held, edge in zip(
        sklearn.datasets.load_sample_images().images,
        photos.regions("train"),
        photos.regions("test"),
        (192, 256),
        strict=True,
    ):
        assert photograph.shape == (427, 640, 3)
        np.testing.assert_array_equal(held, photograph[:, :edge])
        np.testing.assert_array_equal(seen, photograph[:, edge + 32 :])


def test_crops_keep_to_the_columns_of_their_split(columns_as_colours):
    for label, edge in enumerate((192, 256)):
        of = {
            split: np.stack([image for image, at in photos.crops(split, count=200) if at == label])
            for split in ("train", "test")
        }
        # A colour is four columns, and an average of colours lies between them.
        assert of["test"].max() < edge // 4
        assert of["train"].min() >= (edge + 32) // 4
        assert of["test"].min() < 4  # both come near to the ends of their parts
        assert of["train"].max() > 155


def test_about_half_are_mirrored_and_of_each_photograph(columns_as_colours):
    images, labels = zip(*photos.crops("train", count=400), strict=True)
    rising = [int(image[0, -1, 0]) > int(image[0, 0, 0]) for image in images]
    assert 160 <= sum(rising) <= 240
    assert 160 <= sum(labels) <= 240


def test_squares_are_from_the_side_of_the_image_to_192_pixels(columns_as_colours):
    for side in (32, 64):
        widths = [
            4 * abs(int(image[0, -1, 0]) - int(image[0, 0, 0]))
            for image, _ in photos.crops("test", side=side, count=200)
        ]
        assert side - 8 <= min(widths) < side + 16
        assert 160 < max(widths) <= 192


def test_scaling_down_averages_what_it_leaves_out():
    checks = np.indices((427, 384)).sum(axis=0) % 2 * 255
    photograph = np.repeat(checks[..., None], 3, axis=-1).astype(np.uint8)

    class Largest:
        """Draws the most, and places at the top left."""

        def integers(self, low, high=None):
            return 0 if high is None else high - 1

    found = photos.crop(photograph, 32, largest=192, rng=Largest())
    assert found.shape == (32, 32, 3)
    assert (abs(found.astype(int) - 127) <= 3).all()  # without antialiasing, 0 and 255


def test_crops_are_always_the_same_and_never_one_another():
    one, other = (list(photos.crops("train", count=5)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1] == b[1]
    different = [image for image, _ in (*one, *photos.crops("test", count=5))]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(different, 2))
    assert next(photos.crops("train", side=64))[0].shape == (64, 64, 3)


@pytest.mark.slow
def test_another_process_makes_the_same():
    code = (
        "import numpy as np; np.random.seed(1); from l2zoo.data.builtin import photos; "
        "print(sum(image.tobytes().hex() == arg for (image, _), arg in "
        "zip(photos.crops('test', count=3), __import__('sys').argv[1:])))"
    )
    mine = [image.tobytes().hex() for image, _ in photos.crops("test", count=3)]
    run = subprocess.run([sys.executable, "-c", code, *mine], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "3"


def test_it_loads_by_name_for_classification(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "EXAMPLES", {"train": 12, "test": 6})
    data = load("l2zoo_photos", data_dir=tmp_path)
    assert (data.image_shape, data.class_names) == ((32, 32, 3), ("landscape", "flower"))
    made = {image.tobytes(): label for image, label in photos.crops("train", count=12)}
    found = {image.tobytes(): label for image, label in zip(*data.arrays(), strict=True)}
    assert found == made
    assert load("l2zoo_photos/64", "test", data_dir=tmp_path).arrays()[0].shape == (6, 64, 64, 3)
