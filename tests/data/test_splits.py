"""Slices that are trained on and slices that are measured on have nothing in common."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.data import check_splits, divided, load, load_video


@pytest.mark.parametrize(
    ("train", "test", "shared"),
    [
        ("train", "test", 0),
        ("train[:80%]", "train[80%:]", 0),
        ("train[:5]", "train[5:]+test", 0),
        ("train[:-3]", "train[-3:]", 0),
        ("train", "train", 10),
        ("train", "train[80%:]", 2),
        ("train[:50%]", "train[40%:]", 1),
        ("train+test", "test[:1]", 1),
        ("test+train[2:6]", "train[:4]", 2),
    ],
)
def test_slices_that_overlap_are_refused(image_folder, train, test, shared):
    both = [load(f"folder:{image_folder}", split) for split in (train, test)]
    if not shared:
        check_splits(*both)
        return
    with pytest.raises(ValueError, match=f"share {shared} examples. Take slices such as 't.*:80%"):
        check_splits(*both)
    # The oracle: images are all different here.
    ours, theirs = ({x.tobytes() for x in data.arrays()[0]} for data in both)
    assert ours & theirs


def test_it_holds_for_tfds_names_bare_images_and_clips_too(tfds_root, tmp_path, write_image):
    for number in range(8):
        write_image(tmp_path / "bare" / f"{number}.png", value=number)
        write_image(tmp_path / "films" / f"clip{number // 4}" / f"{number % 4}.png", value=number)

    def digits(split):
        return load("l2zoo_digits", split, data_dir=tfds_root)

    def bare(split):
        return load(f"folder:{tmp_path / 'bare'}", split, task="generation")

    def films(split):
        return load_video(f"folder:{tmp_path / 'films'}", split, frames=2)

    for opened, split in ((digits, "train[:50%]"), (bare, "train[:50%]"), (films, "train[:1]")):
        with pytest.raises(ValueError, match="`train` and `test` must have nothing in common"):
            check_splits(opened("train"), opened(split))
        check_splits(opened(split.replace("[:", "[").replace("]", ":]")), opened(split))
    check_splits(digits("train"), bare("train"))  # of different data


def test_arrays_have_no_slices():
    data = load((np.zeros((4, 2, 2, 1)), [0, 1, 0, 1]))
    check_splits(data, data)


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_what_a_limit_keeps_and_what_it_leaves_are_all(task):
    x = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    data = load((x, None if task == "generation" else np.arange(20) % 2), task=task)
    some, others = divided(data, 6, seed=3)
    np.testing.assert_array_equal(
        some.arrays()[0],
        load((x, data.arrays()[1]), limit=6, seed=3).arrays()[0]
        if task == "classification"
        else load((x, None), task=task, limit=6, seed=3).arrays()[0],
    )
    assert (some.num_examples, others.num_examples) == (6, 14)
    values = [int(image[0, 0, 0]) for part in (some, others) for image in part.arrays()[0]]
    assert sorted(values) == list(range(20))
    for part in (some, others):
        np.testing.assert_array_equal(
            part.arrays()[1], part.arrays()[0][:, 0, 0, 0] % 2 * (task != "generation")
        )
    again, rest = divided(others, 14)
    assert (again.num_examples, rest) == (14, None)
    with pytest.raises(ValueError, match="`limit` must be at most the 20 examples there are, got limit=21"):
        divided(data, 21)


def test_the_rest_of_a_split_that_is_read_from_disk(tfds_root):
    data = load("l2zoo_digits", "test", data_dir=tfds_root)
    some, others = divided(data, 100)
    limited = load("l2zoo_digits", "test", data_dir=tfds_root, limit=100)
    np.testing.assert_array_equal(some.arrays()[0], limited.arrays()[0])
    whole, parts = data.arrays()[0], [part.arrays()[0] for part in (some, others)]
    assert sorted(x.tobytes() for x in whole) == sorted(x.tobytes() for part in parts for x in part)
