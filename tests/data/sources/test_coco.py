"""Folders with annotations in COCO's format: ids become classes, corners and pads; every fault is named."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import batching, load
from tests.data.preprocessing.test_pixels import STORED, exif_of

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


# ---- As labelling tools write it ---------------------------------------------------------------------------


def like(kind):
    """The same three images and their objects in the words of a tool."""
    found = copy.deepcopy(content())
    images, objects = found["images"], found["annotations"]
    if kind == "texts for ids":
        for image in images:
            image["id"] = str(image["id"])
        objects[0]["image_id"], objects[1]["category_id"] = 7.0, "3"
        found["categories"][0]["id"] = "18"
    elif kind == "no sizes":
        for image, size in zip(images, (None, "", 0), strict=True):
            image["height"] = image["width"] = size
    elif kind == "sizes in texts":
        images[0].update(height="8", width="10.0")
    elif kind == "boxes in texts":
        objects[1]["bbox"] = ["0", "0", "10.5", "8"]
        objects[3]["iscrowd"] = "1"
        objects[2]["iscrowd"] = "0"
    elif kind == "outlines":
        objects[0].pop("bbox")
        objects[0]["segmentation"] = [[1, 2, 4, 2, 4, 6], [2, 3, 3, 3, 3, 5]]
        objects[1].update(bbox=[], segmentation=[[0, 0, 10.5, 0, 10.5, 8, 0, 8]])
    elif kind == "no ids of objects":
        for item in objects:
            item.pop("id")
    elif kind == "a heading":  # as Roboflow has it
        for category in found["categories"]:
            category["supercategory"] = "things"
        found["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    elif kind == "empty groups":
        for category in found["categories"]:
            category["supercategory"] = ""
    else:
        for image in images:
            image["file_name"] = kind.format(image["file_name"])
    return found


TOOLS = ["texts for ids", "no sizes", "sizes in texts", "boxes in texts", "outlines", "no ids of objects",
         "a heading", "empty groups"]  # fmt: skip
PATHS = ["./{}", "images/{}", "images\\{}", "images\\1/{}", "..\\..\\label-studio\\media\\upload\\4\\{}",
         "https://example.com/data/upload/1/{}?token=1", "/data/local-files/?d=photos%2F{}",
         "C:\\Users\\me\\photos\\{}", "/home" "/me/photos/{}"]  # fmt: skip


@pytest.mark.parametrize("kind", [*TOOLS, *PATHS])
def test_annotations_of_tools_say_the_same(write, kind):
    data = load(write(like(kind), images="images"), task="detection")
    assert (data.class_names, by_first_pixel(data)) == (("car", "dog"), (BOXES, LABELS))


@pytest.mark.parametrize(
    ("layout", "split"),
    [
        ({"images": "valid", "file": "valid/_annotations.coco.json"}, "valid"),  # Roboflow
        ({"images": "images", "file": "result.json"}, "train"),  # Label Studio
        ({"images": "images", "file": "annotations/instances_default.json"}, "train"),  # CVAT
        ({"images": "images/default", "file": "annotations/instances_default.json"}, "train"),
        ({"images": "images/val", "file": "annotations/instances_val.json"}, "val"),
        ({"images": "data", "file": "labels.json"}, "train"),  # FiftyOne
        ({"images": "deep/er", "file": "train/annotations.json"}, None),
    ],
)
def test_files_are_found_where_tools_put_them(write, layout, split):
    source = write(content(), **layout)
    if split is None:
        with pytest.raises(FileNotFoundError, match=r"image a.png of .* is not in .*train"):
            load(source, task="detection")
    else:
        assert by_first_pixel(load(source, split, task="detection")) == (BOXES, LABELS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"images": [{"id": 1, "file_name": "a.png"}, {"id": "1", "file_name": "b.png"}]}, "two with one id"),
        ({"images": [{"id": 7, "file_name": "a.png"}, {"id": 5, "file_name": "x/a.png"}], "annotations": []},
         "Two images of .* are one file, .*a.png"),
        ({"images": [{"id": 7, "file_name": "a.png", "height": "tall", "width": 3}], "annotations": []},
         "must have numbers for height and width, or none, got 'tall' and 3"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "segmentation": {"counts": "x"}}]},
         "Annotation number 0 of .* must have a bbox .*, or a segmentation of polygons, got None"),
        ({"annotations": [item(1, 7, None, [0, 0, 1, 1])]}, "has the category_id None, which is not among"),
    ],
)  # fmt: skip
def test_what_tools_write_wrongly_is_named(write, change, text):
    with pytest.raises(ValueError, match=text):
        load(write(changed(**change)), task="detection")


def test_two_files_of_annotations_and_images_that_nobody_names_are_said(write, tmp_path, write_image):
    source = write(content(), file="first.json")
    (tmp_path / "things" / "second.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"one file of annotations, but there are first.json, second.json: keep"
    ):
        load(source, task="detection")
    (tmp_path / "things" / "second.json").unlink()
    write_image(tmp_path / "things" / "d.png", size=(8, 10))
    with pytest.warns(UserWarning, match="1 image that the annotations do not name: d.png"):
        assert load(source, task="detection").num_examples == 3


@pytest.mark.parametrize(("size", "fits"), [((8, 10), True), ((10, 8), False), (None, True)])
def test_boxes_are_those_of_the_upright_image(write, tmp_path, size, fits):
    told = {} if size is None else {"height": size[0], "width": size[1]}
    found = changed(
        images=[{"id": 7, "file_name": "a.png", **told}], annotations=[item(1, 7, 3, [0, 0, 2, 1])]
    )
    source = write(found)
    for name in "abc":
        (tmp_path / "things" / f"{name}.png").unlink()
    upright = np.zeros((8, 10), np.uint8)
    upright[0, :2] = 255
    Image.fromarray(STORED[6](upright)).save(tmp_path / "things" / "a.png", exif=exif_of(6))
    if fits:
        data = load(source, task="detection")
        np.testing.assert_array_equal(data.arrays()[0][0, ..., 0], upright)
        assert data.arrays()[1]["boxes_xyxy"][0].tolist() == [[0, 0, 2, 1]]
    else:
        with pytest.raises(
            ValueError, match=r"before its EXIF orientation \(6\) turns it upright. Turn the boxes"
        ):
            load(source, task="detection")
