"""Images in folders: what lies beside them is found and paired, and every fault of the files is named."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import batching, load

# ---- Class folders, read as TFDS's ImageFolder reads them --------------------------------------------------


def by_content(x, y):
    return sorted((image.tobytes(), int(label)) for image, label in zip(x, y, strict=True))


def test_split_folders_give_pixels_classes_and_counts(image_folder):
    data = load(f"folder:{image_folder}")
    assert (data.num_examples, data.class_names, data.image_shape) == (10, ("cat", "dog"), (8, 8, 1))
    expected = [
        ((np.arange(64) + 100 * label + i).astype(np.uint8).tobytes(), label)
        for label, count in enumerate([6, 4])
        for i in range(count)
    ]
    assert by_content(*data.arrays()) == sorted(expected)
    assert load(f"folder:{image_folder}", "test").num_examples == 4
    assert load(f"folder:{image_folder}", "train+test").num_examples == 14


def test_the_order_is_that_of_tfds(image_folder):
    import tensorflow_datasets as tfds

    builder = tfds.ImageFolder(str(image_folder), shape=(None, None, 1))
    expected = list(tfds.as_numpy(builder.as_dataset(split="train")))
    x, y = load(f"folder:{image_folder}").arrays()
    np.testing.assert_array_equal(x, [example["image"] for example in expected])
    np.testing.assert_array_equal(y, [example["label"] for example in expected])


def test_slices_cut_a_folder_without_overlap(image_folder):
    everything = load(f"folder:{image_folder}").arrays()
    first = load(f"folder:{image_folder}", "train[:70%]").arrays()
    rest = load(f"folder:{image_folder}", "train[70%:]").arrays()
    assert len(first[1]) == 7
    np.testing.assert_array_equal(np.concatenate([first[0], rest[0]]), everything[0])
    ends = load(f"folder:{image_folder}", "train[:2]+train[-1:]+test").arrays()[0]
    np.testing.assert_array_equal(ends[:3], everything[0][[0, 1, -1]])
    assert len(ends) == 7


def test_class_folders_alone_are_the_split_train(image_folder):
    data = load(f"folder:{image_folder / 'train'}")
    assert by_content(*data.arrays()) == by_content(*load(f"folder:{image_folder}").arrays())
    with pytest.raises(ValueError, match=r"`split` must name one of train in .*, got 'test'"):
        load(f"folder:{image_folder / 'train'}", "test")


def test_limit_and_noise_work_on_folders(image_folder):
    data = load(f"folder:{image_folder}", limit=5, label_noise=0.2)
    assert np.bincount(load(f"folder:{image_folder}", limit=5).arrays()[1]).tolist() == [3, 2]
    clean = load(f"folder:{image_folder}", limit=5).arrays()
    np.testing.assert_array_equal(data.arrays()[0], clean[0])
    assert (data.arrays()[1] != clean[1]).sum() == 1


def test_a_stream_of_class_folders_is_what_memory_holds(image_folder, monkeypatch):
    choice = {"limit": 5, "label_noise": 0.4, "seed": 1}
    expected = load(f"folder:{image_folder}", **choice).arrays()
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = pickle.loads(pickle.dumps(load(f"folder:{image_folder}", **choice)))
    [(x, y)] = data.batches(5).as_numpy_iterator()
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(y, expected[1])


def test_one_colour_image_in_any_split_makes_all_have_three_channels(image_folder, write_image):
    write_image(image_folder / "test" / "cat" / "colour.jpg", mode="RGB")
    assert load(f"folder:{image_folder}").arrays()[0].shape == (10, 8, 8, 3)


def test_different_sizes_become_the_median_with_a_warning_or_image_size(image_folder, write_image):
    write_image(image_folder / "train" / "dog" / "large.png", size=(9, 8))
    with pytest.warns(UserWarning, match="differ in size: .* 8x8, .*large.png is 9x8 .* resized to 8x8"):
        assert load(f"folder:{image_folder}").image_shape == (8, 8, 1)
    assert load(f"folder:{image_folder}", image_size=(6, 7)).arrays()[0].shape == (11, 6, 7, 1)


def test_a_file_that_is_no_image_is_named(image_folder):
    (image_folder / "train" / "cat" / "3.png").write_text("not an image")
    with pytest.raises(
        ValueError, match=r"train.cat.3.png is not a PNG, JPEG, .* image, or is damaged: repair or remove it"
    ):
        load(f"folder:{image_folder}")


def test_a_truncated_image_is_named(image_folder):
    file = image_folder / "train" / "cat" / "3.png"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"train.cat.3.png cannot be decoded .*: repair or remove it"):
        load(f"folder:{image_folder}").batches(4)


def test_an_empty_class_folder_is_named(image_folder):
    (image_folder / "train" / "bird").mkdir()
    (image_folder / "train" / "bird" / "notes.txt").write_text("none yet")
    with pytest.raises(ValueError, match=r"no images \(.png, .*bird, which holds 1 .txt: fill"):
        load(f"folder:{image_folder}")


@pytest.mark.parametrize("splits", ["", "train/"])
@pytest.mark.parametrize("task", ["classification", "generation"])
def test_masks_are_not_taken_for_a_class(tmp_path, write_image, splits, task):
    for folder in ("images", "masks"):
        for number in range(2):
            write_image(tmp_path / f"{splits}{folder}/{number}.png", value=number)
    with pytest.raises(ValueError, match=r"has the folders images and masks, .* Pass task='segmentation'"):
        load(f"folder:{tmp_path}", task=task)


def test_a_hidden_folder_is_not_taken_for_a_class(image_folder):
    (image_folder / "train" / ".ipynb_checkpoints").mkdir()
    assert load(f"folder:{image_folder}").class_names == ("cat", "dog")


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection", "generation"])
def test_a_folder_beside_the_one_that_is_not_there_is_suggested(task, tmp_path):
    for name in ("photos", "other"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder .*photoss: .* Did you mean 'photos'\?"):
        load(f"folder:{tmp_path / 'photoss'}", task=task)
    with pytest.raises(FileNotFoundError, match=r"no folder .*beyond.photos: [^?]*$"):
        load(f"folder:{tmp_path / 'beyond' / 'photos'}", task=task)


def test_a_folder_that_is_not_there_or_holds_no_images_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: .* needs PATH/train/CLASS/image.png"):
        load(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(ValueError, match=r"no images .* in class folders of .*: expected PATH/train/CLASS"):
        load(f"folder:{tmp_path}")


def test_a_split_that_is_not_there_lists_those_that_are(image_folder):
    with pytest.raises(ValueError, match=r"`split` must name one of test, train in .*, got 'valid"):
        load(f"folder:{image_folder}", "valid[:50%]")


# ---- Masks -------------------------------------------------------------------------------------------------


def write_mask(path, values, *, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(np.array(values, np.uint8))
    if palette:
        mask = mask.convert("P")  # keeps the values
        mask.putpalette([200, 10, 10] * 256)
    mask.save(path)


@pytest.fixture
def roads(tmp_path, write_image):
    """Splits train (5) and val (2) of 8x8 images; the mask of image i holds i, one pixel of 255 and a 0."""
    root = tmp_path / "roads"
    for split, count in {"train": 5, "val": 2}.items():
        for i in range(count):
            write_image(root / split / "images" / f"{i}.{'jpg' if i == 1 else 'png'}", value=i, mode="RGB")
            mask = np.full((8, 8), i)
            mask[0, :2] = 255, 0
            write_mask(root / split / "masks" / f"{i}.png", mask, palette=i % 2 == 0)
    return root


def read(data):
    parts = list(data.batches(3).as_numpy_iterator())
    return tuple(np.concatenate(some) for some in zip(*parts, strict=True))


@pytest.mark.parametrize("streamed", [False, True])
def test_masks_go_with_their_images_and_classes_are_counted_over_all_splits(roads, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = load(f"folder:{roads}", "val", task="segmentation")
    assert (data.num_examples, data.num_classes, data.image_shape) == (2, 5, (8, 8, 3))
    data = load(f"folder:{roads}", task="segmentation")
    x, y = read(data)
    assert (y.shape, y.dtype) == ((5, 8, 8), np.uint8)
    assert sorted(y[:, 7, 7].tolist()) == [0, 1, 2, 3, 4]
    assert (y[:, 0, :2] == (255, 0)).all()
    for image, mask in zip(x, y, strict=True):
        if mask[7, 7] != 1:  # that one is a JPEG
            np.testing.assert_array_equal(image[..., 0].ravel(), np.arange(64) + mask[7, 7])
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(read(again)[1], y)


def test_a_folder_of_images_and_masks_is_the_split_train_and_slices_share_it_out(roads):
    root = f"folder:{roads / 'train'}"
    everything = load(root, task="segmentation").arrays()[1]
    first, rest = (
        load(root, split, task="segmentation").arrays()[1] for split in ("train[:40%]", "train[40%:]")
    )
    assert (len(first), len(rest)) == (2, 3)
    np.testing.assert_array_equal(np.concatenate([first, rest]), everything)
    assert load(f"folder:{roads}", "train[:1]+val", task="segmentation").num_examples == 3
    assert len(load(root, task="segmentation", limit=2).arrays()[0]) == 2


def test_masks_of_different_sizes_follow_their_images(roads, write_image):
    write_image(roads / "train" / "images" / "x.png", size=(4, 6), mode="RGB")
    write_mask(roads / "train" / "masks" / "x.png", np.ones((4, 6)))
    with pytest.warns(UserWarning, match="differ in size: .* is 4x6 .* resized to 8x8"):
        x, y = load(f"folder:{roads}", task="segmentation").arrays()
    assert (x.shape, y.shape) == ((6, 8, 8, 3), (6, 8, 8))
    x, y = load(f"folder:{roads}", task="segmentation", image_size=(2, 3)).arrays()
    assert (x.shape, y.shape) == ((6, 2, 3, 3), (6, 2, 3))


def test_gray_images_with_masks_have_one_channel(tmp_path, write_image):
    write_image(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "a.png", np.zeros((8, 8)))
    assert load(f"folder:{tmp_path}", task="segmentation").image_shape == (8, 8, 1)


def spoil_masks(roads, how):
    images, masks = roads / "train" / "images", roads / "train" / "masks"
    if how == "no mask":
        (masks / "3.png").unlink()
    elif how == "no image":
        (images / "3.png").unlink()
    elif how == "no masks":
        shutil.rmtree(masks)
    elif how == "size":
        write_mask(masks / "3.png", np.zeros((8, 7)))
    elif how == "colours":
        Image.new("RGB", (8, 8)).save(masks / "3.png")
    elif how == "jpeg":
        (masks / "3.png").unlink()
        Image.new("L", (8, 8)).save(masks / "3.jpg")
    elif how == "broken":
        (masks / "3.png").write_bytes((masks / "3.png").read_bytes()[:-30])
    elif how == "twins":
        shutil.copy(images / "3.png", images / "3.jpg")


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("no mask", r"image .*images.3.png has no mask in .*train.masks: add or remove it"),
        ("no image", r"mask .*masks.3.png has no image in .*train.images"),
        ("no masks", r"no images \(.png, .*\) in .*masks: expected PATH/train/images/NAME.jpg"),
        ("size", r"mask .*3.png is 8x7, but its image .*3.png is 8x8 \(height x width\)"),
        (
            "colours",
            r"one 8-bit channel or with a palette, got Pillow's mode RGB: its values must be classes",
        ),
        ("jpeg", r"mask .*3.jpg must be a PNG file"),
        ("broken", r"masks.3.png cannot be decoded .*: repair or remove it"),
        ("twins", r"3.jpg and .*3.png have one name: keep one"),
    ],
)
def test_a_fault_of_masks_is_named(roads, how, text):
    spoil_masks(roads, how)
    with pytest.raises(ValueError, match=text):
        load(f"folder:{roads}", task="segmentation")


def test_a_folder_without_masks_is_named(tmp_path, roads):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: .* needs PATH/train/images/NAME.jpg"):
        load(f"folder:{tmp_path / 'nowhere'}", task="segmentation")
    with pytest.raises(ValueError, match=r"no folder of images in .*: task='segmentation' needs PATH/train"):
        load(f"folder:{tmp_path}", task="segmentation")
    with pytest.raises(ValueError, match=r"`split` must name one of train, val in .*, got 'test'"):
        load(f"folder:{roads}", "test", task="segmentation")
    with pytest.raises(ValueError, match=r"no images in split='train\[:0%\]' of"):
        load(f"folder:{roads}", "train[:0%]", task="segmentation")


# ---- Bare pictures -----------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path, write_image):
    """Bare images: 7 of the split train and 3 of test."""
    root = tmp_path / "pictures"
    for split, count in {"train": 7, "test": 3}.items():
        for i in range(count):
            write_image(root / split / f"{i}.png", value=10 * i + len(split))
    return root


def corners(data):
    return sorted(data.arrays()[0][:, 0, 0, 0].tolist())


def test_bare_images_of_a_folder_are_read_by_split_and_have_no_classes(pictures):
    data = load(f"folder:{pictures}", task="generation")
    assert (data.task, data.num_examples, data.num_classes, data.class_names) == ("generation", 7, 0, ())
    assert data.image_shape == (8, 8, 1)
    assert corners(data) == [10 * i + 5 for i in range(7)]
    assert data.arrays()[1].tolist() == [0] * 7
    assert corners(load(f"folder:{pictures}", "test", task="generation")) == [4, 14, 24]
    assert corners(load(f"folder:{pictures / 'test'}", task="generation")) == [
        4,
        14,
        24,
    ]  # is the split train
    shapes = [(images.shape, labels.shape) for images, labels in data.batches(4, shuffle=True)]
    assert shapes == [((4, 8, 8, 1), (4,)), ((3, 8, 8, 1), (3,))]


def test_slices_and_limits_share_bare_images_out(pictures):
    halves = [load(f"folder:{pictures}", f"train[{part}]", task="generation") for part in (":3", "3:")]
    assert sorted(corners(halves[0]) + corners(halves[1])) == [10 * i + 5 for i in range(7)]
    some = load(f"folder:{pictures}", task="generation", limit=4, image_size=(4, 6))
    assert some.arrays()[0].shape == (4, 4, 6, 1)


def test_a_fault_of_bare_images_is_named(pictures):
    (pictures / "train" / "0.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"train.0.png is not a PNG, JPEG, .* image"):
        load(f"folder:{pictures}", task="generation")
    with pytest.raises(ValueError, match=r"`split` must name one of test, train in .*, got 'valid'"):
        load(f"folder:{pictures}", "valid", task="generation")
    shutil.rmtree(pictures / "train")
    shutil.rmtree(pictures / "test")
    with pytest.raises(ValueError, match=r"There are no images .* of .*pictures"):
        load(f"folder:{pictures}", task="generation")
