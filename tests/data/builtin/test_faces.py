"""`l2zoo_faces` and the photographs that are apart: scikit-image's; without it, what to install is said."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from l2zoo.data import load
from l2zoo.data.builtin import faces, photos, scenes


def test_without_scikit_image_its_pictures_are_refused_with_what_to_install(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    for name in ("l2zoo_faces", "l2zoo_photos/apart_32", "l2zoo_scenes/apart_64"):
        with pytest.raises(ImportError, match=r'scikit-image.*: pip install "l2zoo\[photos\]"\.'):
            load(name, task="detection" if "scenes" in name else "generation", data_dir=tmp_path)
    assert not list(tmp_path.rglob("*.tfrecord*"))


def test_the_usual_names_mean_the_same_data_with_scikit_image_or_without(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert [len(photos.regions(split)) for split in ("train", "test")] == [2, 2]
    assert len(scenes.backgrounds("train")) == 2
    image, _ = next(photos.crops("train"))
    assert image.shape == (32, 32, 3)
    assert next(scenes.scenes("train")).image.shape == (64, 64, 3)


def test_patches_are_faces_first_and_half_of_each_class_is_for_testing() -> None:
    data = pytest.importorskip("skimage.data")
    images, labels = faces.face_images()
    np.testing.assert_array_equal(images[..., 0], np.rint(data.lfw_subset() * 255))
    assert (labels == np.arange(200) // 100).all()
    train, test = faces.split_positions(labels)
    assert sorted([*train, *test]) == list(range(200))
    assert [np.bincount(labels[part]).tolist() for part in (train, test)] == [[50, 50]] * 2


def test_faces_load_by_name(tmp_path) -> None:
    pytest.importorskip("skimage.data")
    train, test = (load("l2zoo_faces", split, data_dir=tmp_path) for split in ("train", "test"))
    assert (train.image_shape, train.class_names) == ((25, 25, 1), ("face", "other"))
    assert (train.num_examples, test.num_examples) == (100, 100)
    known = {image.tobytes(): label for image, label in zip(*faces.face_images(), strict=True)}
    assert all(known[image.tobytes()] == label for image, label in zip(*train.arrays(), strict=True))


def test_no_photograph_is_in_both_splits_of_those_that_are_apart() -> None:
    pytest.importorskip("skimage.data")
    train, test = (photos.whole_photographs(split) for split in ("train", "test"))
    assert (len(train), len(test)) == (5, 2)
    assert len({photograph.tobytes() for photograph in (*train, *test)}) == 7
    assert all(
        photograph.dtype == np.uint8 and min(photograph.shape[:2]) >= 300 for photograph in train + test
    )


def test_crops_and_scenes_apart_are_of_these_photographs(monkeypatch) -> None:
    """Each photograph of one colour, so that every pixel tells where it is from."""
    parts = {"train": [10, 20, 30], "test": [200, 220]}

    def one_coloured(split: str) -> list[np.ndarray]:
        return [np.full((300, 300, 3), value, np.uint8) for value in parts[split]]

    monkeypatch.setattr(photos, "whole_photographs", one_coloured)
    monkeypatch.setattr(scenes, "whole_photographs", one_coloured)
    for split, values in parts.items():
        found = {int(image.max()) for image, _ in photos.crops(split, count=40, apart=True)}
        assert found == set(values)
        usual = [np.bincount(one.image[..., 0].ravel()) for one in scenes.scenes(split, count=20, apart=True)]
        assert {int(counts.argmax()) for counts in usual} <= set(values)


def test_photographs_apart_load_without_labels(tmp_path, monkeypatch) -> None:
    pytest.importorskip("skimage.data")
    monkeypatch.setattr(photos, "EXAMPLES", {"train": 6, "test": 4})
    data = load("l2zoo_photos/apart_32", "test", task="generation", data_dir=tmp_path)
    made = {image.tobytes() for image, _ in photos.crops("test", count=4, apart=True)}
    assert {image.tobytes() for image in data.arrays()[0]} == made
    assert data.num_classes == 0
