"""TFDS data sets by name: which of their features are the targets of a task, and what becomes of them."""

import pickle

import numpy as np
import pytest

from l2zoo.data import batching, load


def picture(height, width, value=100):
    return np.full((height, width, 3), value, np.uint8)


def thing(label, ymin, xmin, ymax, xmax, **more):
    import tensorflow_datasets as tfds

    return {"label": label, "bbox": tfds.features.BBox(ymin, xmin, ymax, xmax), **more}


def voc(*objects):
    rest = {"pose": "left", "is_truncated": False}
    return {
        "image": picture(20, 10),
        "image/filename": "a.jpg",
        "objects": [{**some, **rest} for some in objects],
        "labels": [],
        "labels_no_difficult": [],
    }


def coco(*objects):
    rest = {"id": 1, "area": 5}
    return {
        "image": picture(10, 20),
        "image/filename": "a.jpg",
        "image/id": 1,
        "objects": [{**some, **rest} for some in objects],
    }


def pet(label, mask):
    import tensorflow_datasets as tfds

    mask = np.array(mask, np.uint8)[..., None]
    return {
        "image": picture(*mask.shape[:2]),
        "label": label,
        "species": "Cat",
        "file_name": "a.jpg",
        "segmentation_mask": mask,
        "head_bbox": tfds.features.BBox(0.0, 0.0, 0.0, 0.0),
    }


def examples_of():
    """A few examples, by hand, of what TFDS would download: name -> split -> examples."""
    tiny = picture(32, 32)
    return {
        "cifar10": {"train": [{"id": "a", "image": tiny, "label": 6}]},
        "cifar100": {"train": [{"id": "a", "image": tiny, "label": 98, "coarse_label": 3}]},
        "imagenet2012": {
            "train": [
                {"file_name": "a.jpg", "image": picture(8, 12), "label": "n01440764"},
                {"file_name": "b.jpg", "image": picture(12, 8), "label": "n01443537"},
            ]
        },
        "oxford_iiit_pet": {
            "train": [pet("Abyssinian", [[1, 2, 3, 1], [2, 2, 2, 2]]), pet("pug", [[3] * 4] * 2)],
            "test": [pet("pug", [[1, 1], [0, 2], [4, 4]])],
        },
        "voc/2007": {
            "train": [
                voc(
                    thing("cat", 0.1, 0.2, 0.5, 1.0, is_difficult=True),
                    thing("dog", 0.0, 0.0, 0.5, 0.5, is_difficult=False),
                ),
                voc(),
            ],
            "test": [voc(*[thing("cow", 0.0, 0.0, 1.0, 1.0, is_difficult=False)] * 3)],
            "validation": [voc()],
        },
        "coco/2017": {
            "train": [
                coco(
                    thing(7, 0.0, 0.0, 1.0, 1.0, is_crowd=True),
                    thing(5, 0.0, 0.5, 0.5, 1.0, is_crowd=False),
                    thing(6, 0.25, 0.5, 0.25, 1.0, is_crowd=False),  # without area, as COCO has some
                )
            ]
        },
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Data sets with the features of TFDS's own code, prepared from a few examples instead of a download."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("tfds")
    for name, splits in examples_of().items():
        builder = tfds.builder(name, data_dir=root)
        with pytest.MonkeyPatch.context() as patch:
            made = {split: list(enumerate(examples)) for split, examples in splits.items()}
            patch.setattr(type(builder), "_split_generators", lambda self, dl_manager, made=made: made)
            builder.download_and_prepare()
    return root


def facts(data):
    return data.task, data.num_examples, data.num_classes, data.image_shape


def test_cifar_has_one_label_of_the_fine_classes(root):
    data = load("cifar10", data_dir=root)
    assert facts(data) == ("classification", 1, 10, (32, 32, 3))
    assert data.arrays()[1].tolist() == [6]
    data = load("cifar100", data_dir=root)
    assert (data.num_classes, data.arrays()[1].tolist()) == (100, [98])


def test_imagenet_needs_one_size_and_streams(root, monkeypatch):
    with pytest.raises(ValueError, match=r"differ in size: image 0 is .* Pass image_size=\(H, W\)"):
        load("imagenet2012", data_dir=root)
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = load("imagenet2012", data_dir=root, image_size=(6, 5))
    assert facts(data) == ("classification", 2, 1000, (6, 5, 3))
    [(x, y)] = data.batches(2).as_numpy_iterator()
    assert x.shape == (2, 6, 5, 3)
    assert sorted(y.tolist()) == [0, 1]


# Not pets, voc and coco: `mock_data` makes up boxes with sides in any order, which TFDS itself refuses.
@pytest.mark.parametrize(
    ("name", "count", "num_classes"), [("cifar10", 1, 10), ("cifar100", 1, 100), ("imagenet2012", 2, 1000)]
)
def test_what_tfds_itself_makes_up_for_tests_is_read(root, name, count, num_classes):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=count, data_dir=root):
        data = load(name, image_size=(7, 7))
        x, y = data.arrays()
    assert (x.shape, len(y), data.num_classes) == ((count, 7, 7, 3), count, num_classes)


def test_pets_have_37_breeds_or_three_kinds_of_pixels(root):
    data = load("oxford_iiit_pet", data_dir=root)
    assert facts(data) == ("classification", 2, 37, (2, 4, 3))
    data = load("oxford_iiit_pet", task="segmentation", data_dir=root)
    assert facts(data) == ("segmentation", 2, 3, (2, 4, 3))
    assert data.class_names == ("pet", "background", "outline")
    masks = data.arrays()[1]
    assert masks.dtype == np.uint8
    assert sorted(masks.tolist()) == [[[0, 1, 2, 0], [1, 1, 1, 1]], [[2] * 4] * 2]  # stored as 1 to 3


def test_a_value_beyond_the_classes_is_named_and_one_below_them_is_not_labelled(root, monkeypatch):
    data = load("oxford_iiit_pet", "test", task="segmentation", data_dir=root)
    with pytest.raises(
        ValueError, match=r"classes in \[0, 3\) or 255 for not labelled, got the value 3 in y\[0\]"
    ):
        data.arrays()
    top = load("oxford_iiit_pet", "test", task="segmentation", data_dir=root, image_size=(1, 2)).arrays()[1]
    assert top.tolist() == [[[255, 1]]]  # the middle one of three rows, whose values are 0 and 2
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    with pytest.raises(Exception, match=r"A mask holds a value that is not in \[0, 3\) or 255"):
        list(data.batches(1))


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_boxes_of_voc_are_in_pixels_and_padded_alike_in_all_splits(root, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = load("voc/2007", task="detection", data_dir=root)
    assert facts(data) == ("detection", 2, 20, (20, 10, 3))
    [(_, y)] = data.batches(2).as_numpy_iterator()
    assert (y["boxes_xyxy"].dtype, y["labels"].dtype) == (np.float32, np.int64)
    full = int(y["labels"][1, 0] >= 0)  # TFDS shuffles as it writes
    expected = [[2, 2, 10, 10], [0, 0, 5, 10], [0, 0, 0, 0]]  # of 20x10 pixels; difficult ones count
    np.testing.assert_allclose(y["boxes_xyxy"][full], expected, atol=1e-5)
    assert y["labels"][full].tolist() == [7, 11, -1]
    assert not y["boxes_xyxy"][1 - full].any()
    assert y["labels"][1 - full].tolist() == [-1, -1, -1]


def test_boxes_are_scaled_with_their_image(root):
    data = load("voc/2007", "train+test", task="detection", data_dir=root, image_size=(10, 30))
    y = data.arrays()[1]
    assert sorted(y["labels"].tolist()) == [[-1, -1, -1], [7, 11, -1], [9, 9, 9]]
    full = y["labels"][:, 1] == 11
    np.testing.assert_allclose(y["boxes_xyxy"][full][0, :2], [[6, 1, 30, 5], [0, 0, 15, 5]], atol=1e-5)


def test_a_split_without_any_object_is_refused(root):
    with pytest.raises(
        ValueError, match="voc validation has images without objects only: choose another split"
    ):
        load("voc/2007", "validation", task="detection", data_dir=root)


def test_crowds_and_boxes_without_area_of_coco_are_left_out(root):
    data = load("coco/2017", task="detection", data_dir=root)
    assert facts(data) == ("detection", 1, 80, (10, 20, 3))
    y = data.arrays()[1]
    np.testing.assert_allclose(y["boxes_xyxy"], [[[10, 0, 20, 5]]], atol=1e-5)
    assert y["labels"].tolist() == [[5]]


@pytest.mark.parametrize(
    ("name", "task", "text"),
    [
        ("cifar10", "detection", "one sequence of boxes with classes .* Pass task='classification'"),
        ("coco/2017", "segmentation", "one mask of known classes .* Pass task='detection'"),
        ("oxford_iiit_pet", "detection", "Pass task='classification' or 'segmentation'"),
        ("voc/2007", "classification", "one class label .* as task='classification' needs"),
    ],
)
def test_a_task_that_a_data_set_lacks_is_refused_with_those_it_has(root, name, task, text):
    with pytest.raises(ValueError, match=text):
        load(name, task=task, data_dir=root)


@pytest.fixture(scope="module")
def scenes_root(tmp_path_factory):
    from l2zoo.data.builtin import scenes

    root = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "EXAMPLES", {"train": 12, "test": 5})
        scenes.L2zooScenes(data_dir=root).download_and_prepare()
    return root


def test_a_config_is_the_one_that_is_prepared(tmp_path, monkeypatch):
    from l2zoo.data.builtin import scenes

    monkeypatch.setattr(scenes, "EXAMPLES", {"train": 2, "test": 1})
    data = load("l2zoo_scenes/96", task="segmentation", data_dir=tmp_path)
    assert data.image_shape == (96, 96, 3)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_stream_can_be_pickled(scenes_root, monkeypatch, task):
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = load("l2zoo_scenes", task=task, data_dir=scenes_root, limit=5)
    copy = pickle.loads(pickle.dumps(data))
    for one, other in zip(data.batches(2), copy.batches(2), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_scenes_give_what_was_drawn(scenes_root, monkeypatch, streamed):
    from l2zoo.data.builtin import scenes

    drawn = {scene.image.tobytes(): scene for scene in scenes.scenes("test", count=5)}
    if streamed:
        monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    boxes = load("l2zoo_scenes", "test", task="detection", data_dir=scenes_root)
    masks = load("l2zoo_scenes", "test", task="segmentation", data_dir=scenes_root)
    assert (boxes.num_classes, masks.num_classes, masks.class_names[:2]) == (10, 11, ("background", "0"))
    [(x, y)] = boxes.batches(5).as_numpy_iterator()
    [(same_x, mask)] = masks.batches(5).as_numpy_iterator()
    np.testing.assert_array_equal(x, same_x)
    for i, image in enumerate(x):
        scene = drawn[image.tobytes()]
        count = len(scene.labels)
        np.testing.assert_allclose(y["boxes_xyxy"][i, :count], scene.boxes_xyxy, atol=1e-4)
        assert y["labels"][i].tolist() == [*scene.labels, *[-1] * (y["labels"].shape[1] - count)]
        np.testing.assert_array_equal(mask[i], scene.semantic)


@pytest.mark.parametrize("task", ["segmentation", pytest.param("detection", marks=pytest.mark.slow)])
def test_a_stream_has_the_order_and_the_choice_of_memory(scenes_root, monkeypatch, task):
    import tensorflow as tf

    def read(**order):
        data = load("l2zoo_scenes", task=task, data_dir=scenes_root, limit=7, seed=1)
        assert data.num_examples == 7
        batches = data.batches(4, **order).as_numpy_iterator()
        parts = [tf.nest.flatten(batch) for batch in batches]
        return [tuple(part[i].tobytes() for part in some) for some in parts for i in range(len(some[0]))]

    expected = read()
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    assert read() == expected
    assert sorted(read(shuffle=True)) == sorted(expected)
    assert read(shuffle=True, start_epoch=1) == read(shuffle=True, start_epoch=1) != expected


@pytest.mark.parametrize("aspect", ["crop", "pad"])
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_images_of_another_aspect_follow_the_same_rule_as_arrays(scenes_root, monkeypatch, task, aspect):
    plain = load("l2zoo_scenes", "train[:6]", task=task, data_dir=scenes_root)
    options = {"image_size": (24, 48), "aspect": aspect}
    data = load("l2zoo_scenes", "train[:6]", task=task, data_dir=scenes_root, **options)
    x, y = data.arrays()
    z, w = load(plain.arrays(), task=task, class_names=plain.class_names, **options).arrays()
    np.testing.assert_array_equal(x, z)
    if task == "segmentation":
        np.testing.assert_array_equal(y, w)
    else:
        np.testing.assert_array_equal(y["labels"], w["labels"][:, : y["labels"].shape[1]])
        np.testing.assert_allclose(y["boxes_xyxy"], w["boxes_xyxy"], atol=1e-4)
