"""Masks in files: values that are no classes are refused or named, and masks lie as their images do."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import batching, load
from tests.data.preprocessing.test_pixels import COLOUR, GRAY, STORED, chunk, exif_of, png


def write_pair(root, name, values, *, size=None, mode="L"):
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    values = np.asarray(values, np.uint8)
    Image.new("RGB", (size or values.shape)[::-1]).save(root / "images" / f"{name}.png")
    Image.fromarray(values).convert(mode).save(root / "masks" / f"{name}.png")


def read(root, **options):
    return load(f"folder:{root}", task="segmentation", **options)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 128], r"the values 0, 128, which .*class_names=\{0: ..., 128: ...\}"),
        ([0, 255], r"the values 0, 255, which .*class_names=\{0: ..., 255: ...\}"),
        ([1, 2], r"the values 1, 2, which are not classes from 0 on without a gap"),
        (
            [0, 1, 3, 7],
            r"class_names=\{0: ..., 1: ..., 3: ..., ...\}",
        ),
    ],
)
def test_values_with_holes_are_no_classes(tmp_path, values, said):
    write_pair(tmp_path, "a", [values])
    with pytest.raises(ValueError, match=said + ".* or a file classes.txt with lines VALUE NAME"):
        read(tmp_path)
    with pytest.raises(ValueError, match=said):
        load((np.zeros((1, 1, len(values), 3), np.uint8), np.array([[values]])), task="segmentation")


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 1, 255], [0, 0, 0]])
def test_values_without_holes_are_classes(tmp_path, values):
    write_pair(tmp_path, "a", [values])
    classes = len({value for value in values if value != 255})
    assert read(tmp_path).class_names == tuple(map(str, range(classes)))


NAMED = [
    ([0, 128], {0: "ground", 128: "road"}, ("ground", "road"), [0, 1]),
    ([0, 255], {255: "road", 0: "ground"}, ("road", "ground"), [1, 0]),  # in the order that is said
    ([0, 7, 8, 255], {0: "ground", 7: "road", 8: "road"}, ("ground", "road"), [0, 1, 1, 255]),
    ([0, 2], ["a", "b", "c", "d"], ("a", "b", "c", "d"), [0, 2]),
]


@pytest.mark.parametrize("way", ["argument", "file", "array"])
@pytest.mark.parametrize(("values", "names", "classes", "mask"), NAMED)
def test_names_say_which_value_is_which_class(tmp_path, monkeypatch, way, values, names, classes, mask):
    write_pair(tmp_path, "a", [values])
    if way == "array":
        x = np.zeros((1, 1, len(values), 3), np.uint8)
        data = load((x, np.array([[values]])), task="segmentation", class_names=names)
    elif way == "argument":
        data = read(tmp_path, class_names=names)
    else:
        lines = [f"{value} {name}" for value, name in names.items()] if isinstance(names, dict) else names
        (tmp_path / "classes.txt").write_text("\n".join(lines) + "\n")
        data = read(tmp_path)
    assert data.class_names == classes
    assert data.arrays()[1].tolist() == [[mask]]
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    [(_, streamed)] = data.batches(1).as_numpy_iterator()
    assert streamed.tolist() == [[mask]]


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        ({0: "a"}, ValueError, "must say what each value of the masks of .* is, got nothing for 7"),
        (
            ["a", "b"],
            ValueError,
            "must name all classes of the masks of .*, got 2 for values up to 7: name 8, or",
        ),
        (["a", "a"], ValueError, "must name each class once, got 'a' twice"),
        ({0: "a", 300: "b"}, ValueError, "whole numbers from 0 to 255 for values, got 300"),
        ("ab", TypeError, "must be names in order, or a dict"),
        ([], ValueError, "must hold 1 to 255 names, got 0"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, names, error, text):
    write_pair(tmp_path, "a", [[0, 7]])
    with pytest.raises(error, match=text):
        read(tmp_path, class_names=names)


def test_a_value_that_is_named_twice_in_a_file_is_refused(tmp_path):
    write_pair(tmp_path, "a", [[0, 1]])
    (tmp_path / "classes.txt").write_text("0 a\n0 b\n")
    with pytest.raises(ValueError, match=r"classes.txt must name each value once"):
        read(tmp_path)
    (tmp_path / "classes.txt").write_bytes("fl\u00e4che\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"classes.txt is not text in UTF-8"):
        read(tmp_path)


def test_names_where_data_names_its_classes_are_refused(image_folder):
    with pytest.raises(ValueError, match="`class_names` must be None for a folder and task='classification'"):
        load(f"folder:{image_folder}", class_names=["a", "b"])
    with pytest.raises(ValueError, match="`class_names` must be None for a data set by name"):
        load("l2zoo_digits", class_names=["a", "b"])


def test_arrays_with_labels_may_be_named():
    x = np.zeros((4, 8, 8, 1), np.uint8)
    assert load((x, np.array([0, 1, 1, 0])), class_names=["no", "yes"]).class_names == ("no", "yes")
    with pytest.raises(ValueError, match="must name all 3 classes of `y`, got 2 names"):
        load((x, np.array([0, 1, 2, 0])), class_names=["no", "yes"])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_values_of_few_bits_are_the_values_in_the_file(tmp_path, depth):
    values = np.arange(2**depth).reshape(1, -1)
    write_pair(tmp_path, "a", values)
    (tmp_path / "masks" / "a.png").write_bytes(png(values, depth, GRAY))
    assert read(tmp_path).arrays()[1].tolist() == [values.tolist()]


def test_splits_inside_of_images_and_masks_are_found(tmp_path, write_image):
    for split in ("train", "val"):
        write_image(tmp_path / "images" / split / "a.jpg", mode="RGB")
        (tmp_path / "masks" / split).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "masks" / split / "a.png")
    assert read(tmp_path).num_examples == 1
    assert load(f"folder:{tmp_path}", "val", task="segmentation").num_examples == 1


# ---- Orientation -------------------------------------------------------------------------------------------


def turned_pair(root, orientation, mask, upright):
    """An image that is stored as a camera does, and its mask as it is given."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    exif = chunk(b"eXIf", exif_of(orientation).removeprefix(b"Exif\0\0"))
    (root / "images" / "a.png").write_bytes(png(STORED[orientation](upright), 8, COLOUR, before=exif))
    Image.fromarray(mask).save(root / "masks" / "a.png")


@pytest.mark.parametrize("orientation", STORED)
def test_a_mask_that_is_drawn_upright_lies_on_its_image(tmp_path, orientation):
    mask = np.zeros((4, 6), np.uint8)
    mask[0, :2] = 1
    upright = np.repeat(mask[..., None] * 200, 3, axis=-1)
    turned_pair(tmp_path, orientation, mask, upright)
    x, y = read(tmp_path).arrays()
    np.testing.assert_array_equal(x[0], upright)
    np.testing.assert_array_equal(y[0], mask)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_image_before_it_is_turned_is_named(tmp_path, orientation):
    turned_pair(tmp_path, orientation, np.zeros((6, 4), np.uint8), np.zeros((4, 6, 3), np.uint8))
    text = (
        rf"is 6x4, but its image .* is 4x6 .* before its EXIF orientation \({orientation}\) .* Turn the mask"
    )
    with pytest.raises(ValueError, match=text):
        read(tmp_path)
