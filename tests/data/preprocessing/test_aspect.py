"""Images of another aspect: stretched, cropped or padded as Keras does it, and masks and boxes with them."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from PIL import Image

from l2zoo.data import batching, load
from l2zoo.data.preprocessing.aspect import ASPECTS, frame_of
from l2zoo.data.preprocessing.resizing import resize_array

SIZES = [(30, 50), (50, 30), (31, 47), (40, 40), (7, 200)]
TARGETS = [(16, 16), (20, 12), (33, 64)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("aspect", ["crop", "pad"])
@pytest.mark.parametrize("before", SIZES)
@pytest.mark.parametrize("after", TARGETS)
def test_the_part_is_that_of_keras(before, after, aspect):
    image = noise(*before, 3)
    frame = frame_of(before, after, aspect)
    expected = keras.ops.image.resize(
        image.astype(np.float32), after, interpolation="nearest", data_format="channels_last",
        crop_to_aspect_ratio=aspect == "crop", pad_to_aspect_ratio=aspect == "pad",
    )  # fmt: skip
    ours = keras.ops.image.resize(
        frame.cut(image).astype(np.float32), after, interpolation="nearest", data_format="channels_last"
    )
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(expected))


@pytest.mark.parametrize("aspect", ASPECTS)
def test_what_is_pasted_back_lies_where_it_was(aspect):
    image = noise(31, 47) // 2
    frame = frame_of(image.shape, (16, 16), aspect)
    back = frame.paste(frame.cut(image, fill=200), image.shape, fill=201)
    seen = back != 201
    np.testing.assert_array_equal(back[seen], image[seen])
    assert seen.all() == (aspect != "crop")


@pytest.fixture
def wide(tmp_path):
    """A folder with one image of 8x16, its mask, whose class is the column's quarter, and three boxes."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(noise(8, 16, 3)).save(tmp_path / "images" / "a.png")
    mask = np.repeat(np.arange(16)[None] // 4, 8, axis=0).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    boxes = [[0, 0, 3, 8], [2, 1, 4, 4], [10, 2, 5, 4]]  # left, top, width, height
    annotations = [{"id": i, "image_id": 1, "category_id": i, "bbox": box} for i, box in enumerate(boxes)]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": annotations,
        "categories": [{"id": i, "name": f"c{i}"} for i in range(3)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


EXPECTED = {  # at 8x8: by hand
    "stretch": ([[0, 0, 1.5, 8], [1, 1, 3, 5], [5, 2, 7.5, 6]], [0, 1, 2]),
    "crop": ([[0, 1, 2, 5], [6, 2, 8, 6], [0, 0, 0, 0]], [1, 2, -1]),  # columns 4 to 12
    "pad": ([[0, 2, 1.5, 6], [1, 2.5, 3, 4.5], [5, 3, 7.5, 5]], [0, 1, 2]),  # 4 rows above and below
}
MASKS = {
    "stretch": [[0, 0, 1, 1, 2, 2, 3, 3]] * 8,
    "crop": [[1, 1, 1, 1, 2, 2, 2, 2]] * 8,
    "pad": [[255] * 8] * 2 + [[0, 0, 1, 1, 2, 2, 3, 3]] * 4 + [[255] * 8] * 2,
}


def both_ways(data, monkeypatch):
    whole = data.arrays()
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    [streamed] = data.batches(1).as_numpy_iterator()
    for one, other in zip(keras.tree.flatten(whole), keras.tree.flatten(streamed), strict=True):
        np.testing.assert_array_equal(one, other)
    return whole


@pytest.mark.parametrize("aspect", ASPECTS)
def test_boxes_and_masks_follow_in_folders(wide, monkeypatch, aspect):
    options = {"image_size": (8, 8), "aspect": aspect}
    with pytest.warns(UserWarning, match="left out"):
        data = load(f"folder:{wide}", task="detection", **options)
    assert data.aspect == aspect
    x, y = both_ways(data, monkeypatch)
    np.testing.assert_allclose(y["boxes_xyxy"][0], EXPECTED[aspect][0])
    assert y["labels"][0].tolist() == EXPECTED[aspect][1]
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="left out"):
        data = load(f"folder:{wide}", task="segmentation", **options)
    z, masks = both_ways(data, monkeypatch)
    assert masks[0].tolist() == MASKS[aspect]
    np.testing.assert_array_equal(x, z)
    if aspect == "pad":
        assert not x[0, [0, 7]].any()


@pytest.mark.parametrize("aspect", ASPECTS)
def test_arrays_follow_the_same_rule(aspect):
    x = noise(2, 8, 16, 3)
    boxes = np.array([[[0, 0, 3, 8], [2, 1, 6, 5], [10, 2, 15, 6]]] * 2, np.float32)
    y = {"boxes_xyxy": boxes, "labels": np.array([[0, 1, 2]] * 2)}
    found, targets = load((x, y), task="detection", image_size=(8, 8), aspect=aspect).arrays()
    np.testing.assert_allclose(targets["boxes_xyxy"][1], EXPECTED[aspect][0])
    assert targets["labels"][1].tolist() == EXPECTED[aspect][1]
    frame = frame_of((8, 16), (8, 8), aspect)
    np.testing.assert_array_equal(found[1], resize_array(frame.cut(x[1])[None], (8, 8))[0])
    masks = np.repeat(np.arange(16)[None, None] // 4, 8, axis=1).repeat(2, axis=0)
    found = load((x, masks), task="segmentation", image_size=(8, 8), aspect=aspect).arrays()[1]
    assert found[0].tolist() == MASKS[aspect]


def test_another_word_is_refused():
    with pytest.raises(ValueError, match=r"`aspect` must be one of \['stretch', 'crop', 'pad'\], got"):
        load((noise(2, 8, 8, 3), np.array([0, 1])), aspect="croped")
