"""What is trained on and what is measured on have nothing in common: by slices, files, groups and pixels."""

from __future__ import annotations

import dataclasses
import io
import shutil
import time
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from l2zoo.data import batching, check_splits, divided, leave_out, load, load_video
from l2zoo.data.splits.near_duplicates import near_duplicates
from l2zoo.data.splits.overlap import equal_images
from l2zoo.tasks import Classification


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
    with pytest.raises(
        ValueError, match=f"share {shared} examples: {shared} of .* take slices .* such as t.*:80%"
    ):
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


NOISE = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)


def labelled(x, split="train"):
    return load((x, np.arange(len(x)) % 2), split)


def as_arrays(x):
    return x


def as_prepared(x):
    return Classification(("0", "1")).prepared(labelled(x))


def as_clips(x):
    return load_video(np.stack([x, x[:, ::-1]], axis=1))


@pytest.mark.parametrize("form", [as_arrays, labelled, as_prepared, as_clips])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64", "float64"])
def test_equal_pixels_are_found_in_every_form_and_type(form, dtype):
    if dtype == "int64" and form is not as_arrays:  # which `load` makes uint8 of
        return
    train, others = NOISE[:6], NOISE[6:].astype(dtype)
    check_splits(form(train), form(others))
    mixed = np.concatenate([others[:2], NOISE[[4, 1]].astype(dtype), others[2:]])
    words = r"2 of the 8 examples in `test` are in `train` too \(the first: test\[2\] is train\[4\]\)"
    with pytest.raises(ValueError, match=words):
        check_splits(form(train), form(mixed))


@pytest.mark.filterwarnings("ignore:`x` must hold raw pixels")
def test_floats_that_are_no_whole_numbers_are_compared_as_they_are():
    x = NOISE / np.float32(255)
    check_splits(x[:6], x[6:])
    check_splits(x[:6], NOISE[:6])  # scaled and raw: not the same numbers
    with pytest.raises(ValueError, match="6 of the 6 examples"):
        check_splits(x[:6], (NOISE[:6] / np.float32(255)).astype("float64"))
    zero = np.zeros((1, 2, 2, 1), "float32") + 0.5
    zero[0, 0] = -0.0
    with pytest.raises(ValueError, match="nothing in common"):
        check_splits(zero, np.abs(zero))


def test_the_same_object_is_refused():
    for data in (NOISE, labelled(NOISE), as_clips(NOISE)):
        with pytest.raises(ValueError, match=r"`data` and `validation` .* but 12 of the 12 examples"):
            check_splits(data, data, names=("data", "validation"))


@pytest.mark.slow
def test_both_parts_of_what_was_divided_are_apart(tfds_root, image_folder):
    for data in (load("l2zoo_digits", data_dir=tfds_root), load(f"folder:{image_folder}")):
        some, others = divided(data, data.num_examples // 2)
        check_splits(some, others)
        with pytest.raises(ValueError, match="share"):
            check_splits(data, some)


@pytest.mark.parametrize("limit", [0, batching.MEMORY_LIMIT])
def test_copies_of_files_are_found_on_the_disk_and_in_memory(monkeypatch, tmp_path, write_image, limit):
    for number in range(4):
        write_image(tmp_path / "a" / "train" / "x" / f"{number}.png", value=number)
        write_image(tmp_path / "b" / "x" / f"{number}.png", value=100 + number)
    ours = load(f"folder:{tmp_path / 'a'}")
    monkeypatch.setattr(batching, "MEMORY_LIMIT", limit)
    check_splits(ours, load(f"folder:{tmp_path / 'b'}"))
    shutil.copy(tmp_path / "a" / "train" / "x" / "2.png", tmp_path / "b" / "x" / "other.png")
    with pytest.raises(ValueError, match=r"1 of the 5 .*other.png, is train.*leave_out\(train, test\)"):
        check_splits(ours, load(f"folder:{tmp_path / 'b'}"))
    assert leave_out(ours, load(f"folder:{tmp_path / 'b'}")).num_examples == 3
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(ValueError, match="4 of the 4"):
        check_splits(
            ours, load(f"folder:{tmp_path / 'link'}", image_size=(16, 16))
        )  # other pixels, same files


def test_slices_of_what_is_streamed_from_tfds(monkeypatch, tfds_root):
    def opened(split, **few):
        return load("l2zoo_digits", split, data_dir=tfds_root, **few)

    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    check_splits(opened("train"), opened("test"))
    check_splits(*divided(opened("train"), 100))
    with pytest.raises(ValueError, match="share 144 examples"):
        check_splits(opened("train"), opened("train[90%:]"))
    with pytest.raises(ValueError, match="20 of the 20"):
        check_splits(opened("train"), opened("train", limit=20))
    with pytest.raises(ValueError, match=r"slices of l2zoo_digits.*train\[:80%\]"):
        leave_out(opened("train"), opened("train[90%:]"))


def test_leave_out_gives_the_rest_with_its_targets():
    train = labelled(NOISE)
    rest = leave_out(train, NOISE[[3, 7]].astype("float32"))
    np.testing.assert_array_equal(rest.arrays()[0], np.delete(NOISE, [3, 7], axis=0))
    np.testing.assert_array_equal(rest.arrays()[1], np.delete(np.arange(12) % 2, [3, 7]))
    assert leave_out(rest, NOISE[[3, 7]]) is rest
    clips = as_clips(NOISE)
    assert leave_out(clips, as_clips(NOISE[:5])).num_examples == 7
    with pytest.raises(ValueError, match="All of the 12 examples of `train` are in `test`"):
        leave_out(train, NOISE)
    twice = labelled(np.concatenate([NOISE, NOISE[:2]]))
    assert leave_out(twice, NOISE[:1]).num_examples == 12  # both copies


def test_a_group_on_both_sides_is_refused():
    one, other = (dataclasses.replace(labelled(part), groups=np.array(list("aabbcd"))) for part in
                  (NOISE[:6], NOISE[6:]))  # fmt: skip
    with pytest.raises(ValueError, match="no group in common, but 4 are in both"):
        check_splits(one, other)
    with pytest.raises(ValueError, match="no group in common, but 1 is in both"):
        check_splits(one, dataclasses.replace(other, groups=np.array(list("vvwwxd"))))
    check_splits(one, dataclasses.replace(other, groups=np.array(list("vvwwxy"))))
    check_splits(one, labelled(NOISE[6:]))


def test_the_first_equal_image_of_each():
    x = NOISE[[0, 1, 0, 2, 1, 3]]
    assert equal_images(x).tolist() == [0, 1, 0, 3, 1, 5]
    assert equal_images(x.astype("float32")).tolist() == [0, 1, 0, 3, 1, 5]


def test_sixty_thousand_small_images_take_seconds_at_most():
    x = np.random.default_rng(0).integers(0, 256, (70_000, 28, 28, 1), np.uint8)
    started = time.process_time()
    check_splits(x[:60_000], x[60_000:])
    assert time.process_time() - started < 10  # it takes 0.3


def photographs(side=96):
    large = keras.utils.img_to_array(Image.fromarray(china())).astype("uint8")
    places = np.random.default_rng(0).integers(0, 300, (20, 2))
    return np.stack([large[y : y + side, x : x + side] for y, x in places])


def china():
    from sklearn.datasets import load_sample_image

    return load_sample_image("china.jpg")


def compressed(x):
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


def smaller(x):
    image = Image.fromarray(x)
    return np.asarray(image.resize((70, 70), Image.Resampling.BILINEAR).resize(image.size))


@pytest.mark.parametrize("change", [compressed, smaller, lambda x: np.clip(x * 1.1, 0, 255).astype("uint8")])
def test_nearly_equal_photographs_are_told_and_not_refused(change):
    x = photographs()
    train, test = x[:10], np.stack([*x[10:], *map(change, x[:10])])
    found = near_duplicates(train, test)
    assert len(found) >= 8
    assert all(row == other + 10 for row, other in found)
    with pytest.warns(UserWarning, match=r"of the images in `test` look almost like one in `train`"):
        check_splits(train, test)


def test_other_photographs_small_images_and_flat_ones_raise_no_alarm():
    x = photographs()
    flat = np.full((4, 64, 64, 3), 90, "uint8") + np.arange(4, dtype="uint8")[:, None, None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_splits(x[:10], x[10:])
        check_splits(flat[:2], flat[2:])
        check_splits(x[:10, :32, :32], x[:10, 1:33, :32])


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


@pytest.mark.slow
def test_the_rest_of_a_split_that_is_read_from_disk(tfds_root):
    data = load("l2zoo_digits", "test", data_dir=tfds_root)
    some, others = divided(data, 100)
    limited = load("l2zoo_digits", "test", data_dir=tfds_root, limit=100)
    np.testing.assert_array_equal(some.arrays()[0], limited.arrays()[0])
    whole, parts = data.arrays()[0], [part.arrays()[0] for part in (some, others)]
    assert sorted(x.tobytes() for x in whole) == sorted(x.tobytes() for part in parts for x in part)
