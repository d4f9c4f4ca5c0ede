"""Images without classes, for generators: from folders, from TFDS and from arrays."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from l2zoo.data import load


@pytest.fixture
def pictures(tmp_path, write_image):
    """Bare images: 7 of the split train and 3 of test."""
    root = tmp_path / "pictures"
    for split, count in {"train": 7, "test": 3}.items():
        for i in range(count):
            write_image(root / split / f"{i}.png", value=10 * i + len(split))
    return root


def corners(data):
    return sorted(data.arrays()[0][:, 0, 0, 0].tolist())


def test_bare_images_of_a_folder_are_read_by_split_and_have_no_classes(pictures):
    data = load(f"folder:{pictures}", task="generation")
    assert (data.task, data.num_examples, data.num_classes, data.class_names) == ("generation", 7, 0, ())
    assert data.image_shape == (8, 8, 1)
    assert corners(data) == [10 * i + 5 for i in range(7)]
    assert data.arrays()[1].tolist() == [0] * 7
    assert corners(load(f"folder:{pictures}", "test", task="generation")) == [4, 14, 24]
    assert corners(load(f"folder:{pictures / 'test'}", task="generation")) == [
        4,
        14,
        24,
    ]  # is the split train
    shapes = [(images.shape, labels.shape) for images, labels in data.batches(4, shuffle=True)]
    assert shapes == [((4, 8, 8, 1), (4,)), ((3, 8, 8, 1), (3,))]


def test_slices_and_limits_share_bare_images_out(pictures):
    halves = [load(f"folder:{pictures}", f"train[{part}]", task="generation") for part in (":3", "3:")]
    assert sorted(corners(halves[0]) + corners(halves[1])) == [10 * i + 5 for i in range(7)]
    some = load(f"folder:{pictures}", task="generation", limit=4, image_size=(4, 6))
    assert some.arrays()[0].shape == (4, 4, 6, 1)


def test_where_there_are_classes_they_are_kept(image_folder, tfds_root):
    plain = load(f"folder:{image_folder}")
    data = load(f"folder:{image_folder}", task="generation")
    assert (data.task, data.class_names) == ("classification", ("cat", "dog"))
    np.testing.assert_array_equal(data.arrays()[1], plain.arrays()[1])
    digits = load("l2zoo_digits", "test", data_dir=tfds_root, task="generation")
    assert (digits.task, digits.num_classes) == ("classification", 10)


def test_a_tfds_set_without_labels_has_no_classes(tmp_path):
    import tensorflow_datasets as tfds

    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    tfds.dataset_builders.store_as_tfds_dataset(
        "bare_images",
        version="1.0.0",
        features=tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(4, 4, 3))}),
        split_datasets={"train": [(i, {"image": image}) for i, image in enumerate(images)]},
        data_dir=tmp_path,
    )
    data = load("bare_images", data_dir=tmp_path, task="generation")
    assert (data.task, data.num_classes) == ("generation", 0)
    assert sorted(x.tobytes() for x in data.arrays()[0]) == sorted(x.tobytes() for x in images)
    assert load("bare_images", data_dir=tmp_path, task="generation", limit=3).num_examples == 3
    with pytest.raises(ValueError, match=r"is not one 8-bit image and one class .* Pass task='generation'"):
        load("bare_images", data_dir=tmp_path)


def test_arrays_need_no_labels():
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 4)).astype(np.uint8)
    data = load((x, None), task="generation")
    assert (data.task, data.num_classes, data.image_shape) == ("generation", 0, (4, 4, 1))
    np.testing.assert_array_equal(data.arrays()[0][..., 0], x)
    assert load((x, None), task="generation", image_size=(2, 2), limit=2).arrays()[0].shape == (2, 2, 2, 1)
    assert load((x, np.arange(6) % 3), task="generation").class_names == ("0", "1", "2")
    with pytest.raises(ValueError, match="Pixels must be in"):
        load((x.astype(int) * 3, None), task="generation")


def test_a_folder_without_images_is_named(pictures):
    (pictures / "train" / "0.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"train.0.png is not a PNG or JPEG image"):
        load(f"folder:{pictures}", task="generation")
    with pytest.raises(ValueError, match=r"`split` must name one of train in .*, got 'valid'"):
        load(f"folder:{pictures}", "valid", task="generation")
    shutil.rmtree(pictures / "train")
    shutil.rmtree(pictures / "test")
    with pytest.raises(ValueError, match=r"There are no images .* of .*pictures"):
        load(f"folder:{pictures}", task="generation")
