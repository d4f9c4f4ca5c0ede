"""Images without classes, for generators: where there are labels they are kept, and elsewhere not needed."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.data import load


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
    with pytest.raises(ValueError, match="must hold raw pixels in"):
        load((x.astype(int) * 3, None), task="generation")
