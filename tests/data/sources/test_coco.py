"""Folders with annotations in COCO's format: ids become classes, corners and pads; every fault is named."""

import json

import numpy as np
import pytest

from l2zoo.data import batching, load

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]


def item(number, image, category, box, **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": box, **more}


def content():
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 8, "width": 10},
            {"id": 5, "file_name": "b.png"},
            {"id": 6, "file_name": "c.png", "height": 8, "width": 10},
        ],
        "annotations": [
            item(100, 7, 18, [1, 2, 3, 4]),
            item(101, 5, 3, [0, 0, 10.5, 8]),
            item(102, 7, 3, [4, 4, 2.5, 1], iscrowd=0),
            item(103, 7, 3, [0, 0, 10, 8], iscrowd=1),
        ],
        "categories": CATEGORIES,
    }


@pytest.fixture
def write(tmp_path, write_image):
    """Writes the three images and the annotations, in the layout that is asked for; gives the source."""
    root = tmp_path / "things"

    def write(annotations, *, images="", file="annotations.json"):
        for value, name in enumerate("abc"):
            write_image(root / images / f"{name}.png", value=value, size=(8, 10))
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        text = annotations if isinstance(annotations, str) else json.dumps(annotations)
        (root / file).write_text(text)
        return f"folder:{root}"

    return write


def by_first_pixel(data):
    """Boxes and labels of the images a, b and c, whose first pixels are 0, 1 and 2."""
    [(x, y)] = data.batches(3).as_numpy_iterator()
    order = np.argsort(x[:, 0, 0, 0])
    return y["boxes_xyxy"][order].tolist(), y["labels"][order].tolist()


BOXES = [[[1, 2, 4, 6], [4, 4, 6.5, 5]], [[0, 0, 10, 8], [0] * 4], [[0] * 4] * 2]
LABELS = [[1, 0], [0, -1], [-1, -1]]


@pytest.mark.parametrize("streamed", [False, True])
def test_boxes_become_corners_and_ids_classes_in_their_order(write, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = load(write(content()), task="detection")
    assert (data.num_examples, data.num_classes, data.class_names) == (3, 2, ("car", "dog"))
    assert data.image_shape == (8, 10, 1)
    assert by_first_pixel(data) == (BOXES, LABELS)


@pytest.mark.parametrize(
    ("layout", "split"),
    [
        ({"images": "images"}, "train"),
        ({"images": "val", "file": "val/annotations.json"}, "val"),
        ({"images": "val/images", "file": "val/annotations.json"}, "val"),
        ({"images": "val2017", "file": "annotations/instances_val2017.json"}, "val2017"),
    ],
)
def test_each_layout_is_found(write, layout, split):
    assert by_first_pixel(load(write(content(), **layout), split, task="detection")) == (BOXES, LABELS)


def test_all_splits_are_padded_alike(write):
    few = {**content(), "annotations": content()["annotations"][1:2]}
    write(content(), images="train", file="train/annotations.json")
    source = write(few, images="val", file="val/annotations.json")
    y = load(source, "val", task="detection", limit=2).arrays()[1]
    assert y["boxes_xyxy"].shape == (2, 2, 4)


def test_a_box_is_scaled_with_its_image(write, write_image):
    source = write(content())
    wanted = [[4, 1, 16, 3], [16, 2, 26, 2.5]]  # 8x10 becomes 4x40
    boxes = by_first_pixel(load(source, task="detection", image_size=(4, 40)))[0]
    np.testing.assert_allclose(boxes[0], wanted, rtol=1e-6)


def changed(**parts):
    return {**content(), **parts}


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        ("{", r"annotations.json is not JSON \(.*\): expected annotations in COCO's format"),
        ("[1]", r"not in COCO's format: expected the lists images, annotations, categories, got a list"),
        ('{"boxes": []}', r"got the keys boxes"),
        (
            changed(annotations=[{"id": 1, "bbox": []}]),
            r"annotations\[0\] has no image_id and no category_id",
        ),
        (
            changed(annotations=[item(9, 70, 3, [0, 0, 1, 1])]),
            "Annotation 9 of .* image_id 70, .* its images",
        ),
        (changed(annotations=[item(9, 7, 4, [0, 0, 1, 1])]), "has the category_id 4, .* its categories"),
        (
            changed(annotations=[item(9, 7, 3, [0, 0, 1])]),
            r"four numbers \(left, top, width, height\), or .* got \[0",
        ),
        (
            changed(annotations=[item(9, 7, 3, [8, 0, 4, 4])]),
            r"inside their image, got annotation 9 .* of 8x10",
        ),
        (changed(annotations=[item(9, 7, 3, [8, 4, -4, 4])]), r"with an area, got annotation 9"),
        (
            changed(categories=CATEGORIES * 2),
            "categories with an id of their own, but there are two with one id",
        ),
        (
            changed(images=[*content()["images"], {"id": 1, "file_name": "a.png"}]),
            "two images .* one file_name",
        ),
        (changed(images=[]), "must have images with an id of their own, but there are none"),
        (
            changed(images=[{"id": 7, "file_name": "a.png", "height": 10, "width": 8}], annotations=[]),
            r"a.png is 8x10, but .*annotations.json says 10x8 \(height x width\)",
        ),
    ],
)
def test_a_fault_is_named(write, annotations, text):
    source = write(annotations)
    with pytest.raises(ValueError, match=text):
        load(source, task="detection")


def test_a_missing_file_is_named(write, tmp_path):
    source = write(content())
    (tmp_path / "things" / "b.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"image b.png of .*annotations.json is not in .*things: add it"
    ):
        load(source, task="detection")
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: .* needs PATH/train/annotations.json"):
        load(f"folder:{tmp_path / 'nowhere'}", task="detection")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no annotations in .*: task='detection' needs"):
        load(f"folder:{tmp_path / 'empty'}", task="detection")


def test_boxes_without_area_are_left_out_with_a_warning(write):
    source = write(changed(annotations=[*content()["annotations"], item(9, 6, 3, [1, 1, 0, 4])]))
    with pytest.warns(
        UserWarning, match="boxes without area, which are left out: 1, the first of them annotation 9"
    ):
        data = load(source, task="detection")
    assert by_first_pixel(data) == (BOXES, LABELS)


def test_splits_with_other_categories_are_refused(write):
    write(content(), images="train", file="train/annotations.json")
    source = write(
        changed(categories=[*CATEGORIES, {"id": 1, "name": "cat"}]), images="val", file="val/annotations.json"
    )
    with pytest.raises(
        ValueError, match=r"must have the same categories, got 2 \(car, dog, ...\) and 3 \(cat"
    ):
        load(source, task="detection")


def test_a_truncated_image_is_named(write, tmp_path):
    source = write(content())
    file = tmp_path / "things" / "b.png"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"b.png cannot be decoded .*: repair or remove it"):
        load(source, task="detection").arrays()
