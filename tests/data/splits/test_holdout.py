"""What is held out of data without a test split, and what belongs together stays together."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import check_splits, load, load_train_test, load_video

X = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 1), np.uint8)
Y = np.repeat([0, 1, 2], [60, 35, 5])
PATIENT = r"patient(\d+)_"


@pytest.fixture
def folder(tmp_path):
    """100 images in three classes, of 20 patients."""
    for number, (pixels, label) in enumerate(zip(X, Y, strict=True)):
        place = tmp_path / "photos" / "abc"[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(place / f"patient{number % 20:02d}_{number}.png")
    return f"folder:{tmp_path / 'photos'}"


def keys(data):
    return {x.tobytes() for x in data.arrays()[0]}


@pytest.mark.parametrize("arrays", [True, False])
def test_a_fifth_of_each_class_is_held_out(folder, arrays):
    train, test = load_train_test((X, Y) if arrays else folder)
    assert (train.num_examples, test.num_examples) == (80, 20)
    assert np.bincount(test.arrays()[1]).tolist() == [12, 7, 1]
    assert not keys(train) & keys(test)
    assert len(keys(train) | keys(test)) == 100
    assert (train.split, test.split, test.holdout) == ("train", "test", 0.2)


def test_it_is_the_same_whatever_the_seed_and_the_limit(folder):
    train, test = load_train_test(folder)
    for seed in (0, 1):
        few, again = load_train_test(folder, limit=20, seed=seed, label_noise=0.5)
        assert keys(again) == keys(test)
        assert keys(few) < keys(train)
        assert np.bincount(again.arrays()[1]).tolist() == [12, 7, 1]  # no noise on the test set
    assert keys(load(folder, "test", holdout=0.2)) == keys(test)


def test_slices_are_those_of_what_is_held_out_and_of_the_rest(folder):
    parts = [load(folder, split, holdout=0.3) for split in ("train[:50%]", "train[50%:]", "test")]
    assert [part.num_examples for part in parts] == [35, 35, 30]
    assert len(set().union(*map(keys, parts))) == 100
    with pytest.raises(ValueError, match=r"must name one of test, train in .* with holdout=0.3, got 'valid'"):
        load(folder, "valid", holdout=0.3)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_groups_are_held_out_whole(folder, share):
    train, test = load_train_test(folder, groups=PATIENT, holdout=share)
    assert not set(train.groups) & set(test.groups)
    assert len(set(train.groups) | set(test.groups)) == 20
    assert test.num_examples == pytest.approx(100 * share, abs=5)
    check_splits(train, test)
    whole = load(folder, groups=PATIENT)
    files = [file.name for file in whole.source.files]
    assert whole.groups.tolist() == [name[7:9] for name in files]
    with pytest.raises(ValueError, match="no group in common"):  # as slices would have it
        check_splits(load(folder, "train[:50%]", groups=PATIENT), load(folder, "train[50%:]", groups=PATIENT))


@pytest.mark.parametrize("labels", [np.arange(20), np.arange(20) % 10, np.arange(20) % 2, [0] * 19 + [1]])
@pytest.mark.parametrize("count", [2, 3, 10, 20])
def test_groups_of_few_images_a_class_are_divided_too(labels, count):
    train, test = load_train_test((X[:20], labels), groups=np.arange(20) % count)
    assert not set(train.groups) & set(test.groups)
    assert min(train.num_examples, test.num_examples) >= 1
    assert test.num_examples <= 10


def test_a_table_says_the_groups_too(folder, tmp_path):
    files = load(folder).source.files
    for name in (lambda file: f"{file.parent.name}/{file.name}", lambda file: file.name):
        rows = [f"{name(file)},{file.name[7:9]}" for file in files]
        (tmp_path / "groups.csv").write_text("\n".join(["file,group", *rows]))
        for table in (tmp_path / "groups.csv", str(tmp_path / "groups.csv")):
            np.testing.assert_array_equal(
                load(folder, groups=table).groups, load(folder, groups=PATIENT).groups
            )
    (tmp_path / "groups.csv").write_text("\n".join(["file,group", *rows[:-1]]))
    with pytest.raises(ValueError, match=r"says nothing of ./patient"):
        load(folder, groups=tmp_path / "groups.csv")
    (tmp_path / "groups.csv").write_text("name,patient\na,b")
    with pytest.raises(ValueError, match="must have the columns file and group, got name, patient"):
        load(folder, groups=tmp_path / "groups.csv")
    with pytest.raises(FileNotFoundError, match="There is no table"):
        load(folder, groups="none.csv")


def test_the_groups_of_arrays_are_an_array():
    groups = np.arange(100) % 10
    train, test = load_train_test((X, Y), groups=groups)
    assert not set(train.groups) & set(test.groups)
    some = load((X, Y), groups=groups, limit=30)
    rows = [next(i for i, x in enumerate(X) if (x == one).all()) for one in some.arrays()[0]]
    np.testing.assert_array_equal(some.groups, groups[rows])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"groups": "patient"}, "one pair of parentheses.* got 'patient' with 0"),
        ({"groups": "(doctor)"}, r"'\(doctor\)' is not found in ./patient"),
        ({"groups": "patient(["}, "`groups` must be a regular expression"),
        ({"holdout": 1.0}, r"`holdout` must be a share in \(0, 1\)"),
        ({"holdout": 1}, r"`holdout` must be a share in \(0, 1\)"),
        ({"holdout": 0.2, "groups": "(patient)"}, "`holdout` needs two groups at least, got 1"),
        ({"test_split": "valid"}, "test_split='valid': folder.* has no split 'valid', only train"),
    ],
)
def test_what_cannot_be_held_out_is_refused(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        load_train_test(folder, **settings)


def test_data_with_a_test_split_keep_it(image_folder):
    train, test = load_train_test(f"folder:{image_folder}")
    assert (train.num_examples, test.num_examples, test.holdout) == (10, 4, None)
    for source in (f"folder:{image_folder}", "l2zoo_digits"):
        with pytest.raises(ValueError, match="`holdout` is for data without a test split of its own, but"):
            load(source, holdout=0.2)
        with pytest.raises(ValueError, match="`holdout` is for data without a test split of its own, but"):
            load_train_test(source, holdout=0.2)
    with pytest.raises(ValueError, match=r"share 2 examples.*train on the rest, train_split='train\[:80%\]'"):
        load_train_test(f"folder:{image_folder}", test_split="train[80%:]")
    with pytest.raises(ValueError, match=r"train on the rest, train_split='train\[5:\]'"):
        load_train_test(f"folder:{image_folder}", test_split="train[:5]")
    with pytest.raises(ValueError, match="`groups` must be a pattern or a table for a folder"):
        load("l2zoo_digits", groups="(.)")


def test_copies_are_left_out_of_the_training_data(folder, tmp_path):
    twice = np.concatenate([X, X[:30]])
    labels = np.concatenate([Y, Y[:30]])
    with pytest.warns(
        UserWarning, match=r"of the 104 training examples are in the test set too, as copies: they"
    ):
        train, test = load_train_test((twice, labels))
    assert not keys(train) & keys(test)
    assert test.num_examples == 26
    assert 80 < train.num_examples < 104
    assert len(keys(train) | keys(test)) == 100
    check_splits(train, test)


def test_a_class_of_one_image_is_trained_on_and_one_image_cannot_be_divided():
    train, test = load_train_test((X[:11], [0] * 10 + [1]))
    assert (train.num_examples, test.num_examples) == (9, 2)
    assert 1 in train.arrays()[1]
    with pytest.raises(ValueError, match="`holdout` needs two images of a class at least, got 1"):
        load_train_test((X[:1], [0]))


def test_clips_are_held_out_whole(tmp_path):
    for clip in range(10):
        (tmp_path / "films" / str(clip)).mkdir(parents=True)
        for frame in range(4):
            pixels = np.full((16, 16), 10 * clip + frame, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "films" / str(clip) / f"{frame}.png")
    source = f"folder:{tmp_path / 'films'}"
    train, test = (load_video(source, split, holdout=0.2, frames=2) for split in ("train", "test"))
    assert (train.num_examples, test.num_examples, test.split) == (16, 4, "test")
    clips = [{int(pixel) // 10 for pixel in data.clips[:, 0, 0, 0, 0]} for data in (train, test)]
    assert not clips[0] & clips[1]
    check_splits(train, test)
    with pytest.raises(ValueError, match="must be train or test with `holdout`"):
        load_video(source, "train[:5]", holdout=0.2)
    with pytest.raises(ValueError, match="`holdout` is for data without a test split"):
        load_video(np.zeros((4, 2, 8, 8, 1), np.uint8), holdout=0.2)
