"""A folder as somebody has it: every file is read, or said to be left out; layouts work or are named."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import load, load_video
from tests.data.preprocessing.test_pixels import exif_of


def silently(source, *more, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(source, *more, **options)


def write_all(root, write_image, *names):
    for value, name in enumerate(names):
        write_image(root / name, value=value, mode="RGB")
    return f"folder:{root}"


@pytest.mark.parametrize("names", [
    ("cat/a.png", "cat/b.JPG", "cat/c.webp", "dog/d.bmp", "dog/e.GIF", "dog/f.jpeg"),
    ("Train/cat/a.png", "Train/dog/b.PNG"),
])  # fmt: skip
def test_every_format_and_upper_case_are_read(tmp_path, write_image, names):
    source = write_all(tmp_path, write_image, *names)
    split = "Train" if names[0].startswith("Train") else "train"
    data = silently(source, split)
    assert (data.num_examples, data.class_names) == (len(names), ("cat", "dog"))
    assert data.arrays()[0].shape == (len(names), 8, 8, 3)


def test_files_of_systems_and_hidden_ones_are_no_part_of_it(tmp_path, write_image):
    source = write_all(tmp_path, write_image, "cat/a.png", "dog/b.png", "cat/._a.png", ".git/x/y.png",
                       "__MACOSX/cat/a.png", "cat/.thumbs/a.png", "dog/@eaDir/b.png")  # fmt: skip
    for name in (".DS_Store", "cat/.DS_Store", "dog/Thumbs.db", "cat/desktop.ini"):
        (tmp_path / name).write_bytes(b"\0")
    assert silently(source).num_examples == 2


def test_what_is_left_out_is_said_once_with_the_reasons(tmp_path, write_image):
    source = write_all(tmp_path, write_image, "cat/a.png", "cat/old/b.png", "dog/c.png", "loose.png")
    for name in ("cat/d.tif", "notes.txt", "dog/e.tif", "dog/f"):
        (tmp_path / name).write_bytes(b"\0")
    with pytest.warns(UserWarning, match="left out") as said:
        data = load(source)
    assert (data.num_examples, data.class_names) == (2, ("cat", "dog"))
    (one,) = said
    assert "2 files are read, and left out are 2 images" in str(one.message)
    assert "2 images outside of the class folders, or deeper in one: loose.png, cat/old/b.png" in str(
        one.message
    )
    assert "4 not named as images are (.tif, .txt, no suffix): notes.txt, cat/d.tif, dog/e.tif" in str(
        one.message
    )
    assert one.filename == __file__


@pytest.mark.parametrize(
    ("names", "classes", "read"),
    [
        (("cat/images/1.png", "cat/images/2.png", "dog/images/3.png"), ("cat", "dog"), 3),
        (("train/cat/images/1.png", "train/dog/images/3.png", "train/dog/4.png"), ("cat", "dog"), 2),
        (("train/1.png", "bus/2.png"), ("bus", "train"), 2),  # two vehicles
        (("train/train/1.png", "train/test/2.png"), ("test", "train"), 2),
    ],
)
def test_layouts_that_people_make_are_read(tmp_path, write_image, names, classes, read):
    source = write_all(tmp_path, write_image, *names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dog/images beside dog/4.png
        data = load(source)
    assert (data.class_names, data.num_examples) == (classes, read)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            ("train/1.png", "test/2.png"),
            "names of splits, not of classes: expected PATH/train/CLASS/image.png",
        ),
        (
            ("cat/train/1.png", "cat/test/2.png", "dog/train/3.png"),
            r"\(cat/test\): expected the split first",
        ),
        (("train/cat/1.png", "bird/2.png"), "train is the one and bird the other: expected PATH/train/CLASS"),
        (
            ("pets/train/cat/1.png", "pets/train/dog/2.png"),
            "expected PATH/.* The first image is .*pets.train.cat.1",
        ),
        (("1.png", "2.png"), "no images .* in class folders of .* The first image is .*1.png"),
        (("train/Cat/1.png", "test/cat/2.png"), "'Cat' and 'cat' of .* differ in case or spaces alone"),
    ],
)
def test_other_layouts_are_named(tmp_path, write_image, names, text):
    source = write_all(tmp_path, write_image, *names)
    with pytest.raises(ValueError, match=text):
        load(source)


def test_images_of_a_test_split_without_classes_are_left_out(tmp_path, write_image):
    source = write_all(tmp_path, write_image, "train/cat/1.png", "train/dog/2.png", "test/3.png")
    with pytest.warns(UserWarning, match="1 image outside of the class folders.*: test/3.png"):
        assert load(source).num_examples == 2


def test_a_class_folder_of_other_files_says_what_it_holds(tmp_path, write_image):
    source = write_all(tmp_path, write_image, "cat/1.png")
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "1.heic").write_bytes(b"\0")
    with pytest.raises(ValueError, match=r"class folder .*dog, which holds 1 .heic: fill or remove it"):
        load(source)


def test_links_are_followed_and_those_in_a_circle_end(tmp_path, write_image):
    source = write_all(tmp_path / "a", write_image, "cat/1.png", "dog/2.png")
    write_image(tmp_path / "elsewhere" / "3.png", mode="RGB")
    (tmp_path / "a" / "fox").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "cat" / "up").symlink_to(tmp_path / "a")
    assert load(source).class_names == ("cat", "dog", "fox")


def test_zero_bytes_and_links_to_nothing_are_named(tmp_path, write_image):
    source = write_all(tmp_path, write_image, "cat/1.png", "dog/2.png")
    (tmp_path / "cat" / "empty.png").touch()
    with pytest.raises(ValueError, match=r"empty.png is not a PNG, .* \(it is empty: 0 bytes\): repair or"):
        load(source)
    (tmp_path / "cat" / "empty.png").unlink()
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(FileNotFoundError, match=r"gone.png. It is a link to nothing"):
        load(source)


def test_clips_are_accounted_for_too(tmp_path, write_image):
    for clip in "ab":
        write_all(tmp_path / clip, write_image, "1.webp", "2.webp", "old/1.png")
    with pytest.warns(
        UserWarning, match="2 images outside of the folders of clips, .*: a/old/1.png, b/old/1.png"
    ):
        assert load_video(f"folder:{tmp_path}").clip_shape == (2, 8, 8, 3)


# ---- Pixels of folders -------------------------------------------------------------------------------------


def deep(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint16)).save(path)


def test_folders_with_images_of_16_bits_give_floats_that_are_not_rounded(tmp_path, write_image):
    values = np.arange(64).reshape(8, 8) * 1000
    deep(tmp_path / "a" / "1.png", values)
    write_image(tmp_path / "b" / "2.png")
    data = silently(f"folder:{tmp_path}")
    assert (data.dtype, data.image_shape) == ("float32", (8, 8, 1))
    x, y = data.arrays()
    np.testing.assert_allclose(x[y == 0][0, ..., 0], values * (255 / 65535), rtol=1e-6)
    np.testing.assert_array_equal(x[y == 1][0, ..., 0], np.arange(64).reshape(8, 8))
    [(batch, _)] = data.batches(2).as_numpy_iterator()
    np.testing.assert_array_equal(batch, x)


def test_a_predictor_reads_what_was_trained_on(tmp_path, write_image):
    from l2zoo.inference import preprocess

    deep(tmp_path / "a" / "1.png", np.arange(64).reshape(8, 8) * 1000)
    upright = tmp_path / "b" / "2.jpg"
    upright.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(noise).save(upright, exif=exif_of(8))
    x, y = load(f"folder:{tmp_path}").arrays()
    for label, file in enumerate([tmp_path / "a" / "1.png", upright]):
        seen = preprocess.read_pixels(file, channels=1, where="it")
        np.testing.assert_array_equal(x[y == label][0], seen)


@pytest.mark.parametrize(
    ("most", "bits", "factor"),
    [(255, 8, 256), (1023, 10, 64), (4095, 12, 16), (3000, 12, 16), (16383, None, 1), (65535, None, 1)],
)
def test_values_of_fewer_bits_are_warned_of(tmp_path, most, bits, factor):
    deep(tmp_path / "a" / "1.png", np.full((8, 8), 7))
    deep(tmp_path / "b" / "2.png", np.linspace(0, most, 64).reshape(8, 8))
    if bits:
        text = rf"is {most} of 65535: these look like values of {bits} bits, .* Multiply them by {factor} "
        with pytest.warns(UserWarning, match=text):
            load(f"folder:{tmp_path}")
    else:
        silently(f"folder:{tmp_path}")


# ---- Sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(300, 400), (301, 402), (600, 800)], (160, 224)),  # 168 x 224, in steps of 32
        ([(400, 300), (402, 301), (800, 600)], (224, 160)),
        ([(100, 100), (101, 100), (99, 100)], (96, 96)),
        ([(30, 20), (32, 20), (28, 20)], (30, 20)),
    ],
)
def test_images_of_several_sizes_become_about_the_median(tmp_path, write_image, sizes, expected):
    for number, size in enumerate(sizes):
        write_image(tmp_path / "ab"[number % 2] / f"{number}.png", size=size)
    text = (
        rf"All are resized to {expected[0]}x{expected[1]}, about the median. Pass image_size=\({expected[0]},"
    )
    with pytest.warns(UserWarning, match=text):
        data = load(f"folder:{tmp_path}")
    assert data.arrays()[0].shape == (3, *expected, 1)


def test_all_splits_get_the_same_size(tmp_path, write_image):
    for split, sizes in {"train": [(40, 40)] * 3, "test": [(20, 30), (50, 60)]}.items():
        for number, size in enumerate(sizes):
            write_image(tmp_path / split / "ab"[number % 2] / f"{number}.png", size=size)
    with pytest.warns(UserWarning, match="differ in size"):
        shapes = {load(f"folder:{tmp_path}", split).image_shape for split in ("train", "test")}
    assert shapes == {(40, 40, 1)}
