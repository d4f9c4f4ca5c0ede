"""Folders of images with masks: paired by name, with every fault of the files named."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import images, load


def write_mask(path, values, *, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(np.array(values, np.uint8))
    if palette:
        mask = mask.convert("P")  # keeps the values
        mask.putpalette([200, 10, 10] * 256)
    mask.save(path)


@pytest.fixture
def folder(tmp_path, write_image):
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
def test_masks_go_with_their_images_and_classes_are_counted_over_all_splits(folder, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(images, "MEMORY_LIMIT", 0)
    data = load(f"folder:{folder}", "val", task="segmentation")
    assert (data.num_examples, data.num_classes, data.image_shape) == (2, 5, (8, 8, 3))
    data = load(f"folder:{folder}", task="segmentation")
    x, y = read(data)
    assert (y.shape, y.dtype) == ((5, 8, 8), np.uint8)
    assert sorted(y[:, 7, 7].tolist()) == [0, 1, 2, 3, 4]
    assert (y[:, 0, :2] == (255, 0)).all()
    for image, mask in zip(x, y, strict=True):
        if mask[7, 7] != 1:  # that one is a JPEG
            np.testing.assert_array_equal(image[..., 0].ravel(), np.arange(64) + mask[7, 7])
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(read(again)[1], y)


def test_a_folder_of_images_and_masks_is_the_split_train_and_slices_share_it_out(folder):
    root = f"folder:{folder / 'train'}"
    everything = load(root, task="segmentation").arrays()[1]
    first, rest = (
        load(root, split, task="segmentation").arrays()[1] for split in ("train[:40%]", "train[40%:]")
    )
    assert (len(first), len(rest)) == (2, 3)
    np.testing.assert_array_equal(np.concatenate([first, rest]), everything)
    assert load(f"folder:{folder}", "train[:1]+val", task="segmentation").num_examples == 3
    assert len(load(root, task="segmentation", limit=2).arrays()[0]) == 2


def test_different_sizes_need_image_size(folder, write_image):
    write_image(folder / "train" / "images" / "x.png", size=(4, 6), mode="RGB")
    write_mask(folder / "train" / "masks" / "x.png", np.ones((4, 6)))
    with pytest.raises(ValueError, match=r"differ in size: .* is 4x6 .* Pass image_size=\(H, W\)"):
        load(f"folder:{folder}", task="segmentation")
    x, y = load(f"folder:{folder}", task="segmentation", image_size=(2, 3)).arrays()
    assert (x.shape, y.shape) == ((6, 2, 3, 3), (6, 2, 3))


def test_gray_images_have_one_channel(tmp_path, write_image):
    write_image(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "a.png", np.ones((8, 8)))
    assert load(f"folder:{tmp_path}", task="segmentation").image_shape == (8, 8, 1)


def spoil(folder, how):
    images, masks = folder / "train" / "images", folder / "train" / "masks"
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
        ("no masks", r"no images \(.jpg, .jpeg, .png\) in .*masks: expected PATH/train/images/NAME.jpg"),
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
def test_a_fault_is_named(folder, how, text):
    spoil(folder, how)
    with pytest.raises(ValueError, match=text):
        load(f"folder:{folder}", task="segmentation")


def test_a_folder_that_is_none_is_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: .* needs PATH/train/images/NAME.jpg"):
        load(f"folder:{tmp_path / 'nowhere'}", task="segmentation")
    with pytest.raises(ValueError, match=r"no folder of images in .*: task='segmentation' needs PATH/train"):
        load(f"folder:{tmp_path}", task="segmentation")
    with pytest.raises(ValueError, match=r"`split` must name one of train, val in .*, got 'test'"):
        load(f"folder:{folder}", "test", task="segmentation")
    with pytest.raises(ValueError, match=r"no images in split='train\[:0%\]' of"):
        load(f"folder:{folder}", "train[:0%]", task="segmentation")
