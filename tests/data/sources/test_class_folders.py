"""Class folders: read as TFDS's ImageFolder reads them, with every fault of the files named."""

import numpy as np
import pytest

from l2zoo.data import load


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


def test_one_colour_image_in_any_split_makes_all_have_three_channels(image_folder, write_image):
    write_image(image_folder / "test" / "cat" / "colour.jpg", mode="RGB")
    assert load(f"folder:{image_folder}").arrays()[0].shape == (10, 8, 8, 3)


def test_different_sizes_name_two_files_and_image_size_mends_it(image_folder, write_image):
    write_image(image_folder / "train" / "dog" / "large.png", size=(9, 8))
    with pytest.raises(ValueError, match=r"0.png is 8x8, .*large.png is 9x8 .* Pass image_size=\(H, W\)"):
        load(f"folder:{image_folder}")
    assert load(f"folder:{image_folder}", image_size=(6, 7)).arrays()[0].shape == (11, 6, 7, 1)


def test_a_file_that_is_no_image_is_named(image_folder):
    (image_folder / "train" / "cat" / "3.png").write_text("not an image")
    with pytest.raises(
        ValueError, match=r"train.cat.3.png is not a PNG or JPEG image .*: repair or remove it"
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
    with pytest.raises(ValueError, match=r"no images \(.jpg, .jpeg, .png\) in the class folder .*bird: fill"):
        load(f"folder:{image_folder}")


def test_a_hidden_folder_is_not_taken_for_a_class(image_folder):
    (image_folder / "train" / ".ipynb_checkpoints").mkdir()
    with pytest.raises(ValueError, match=r"hidden folder .*.ipynb_checkpoints would be a class: remove it"):
        load(f"folder:{image_folder}")


def test_a_folder_that_is_not_there_or_holds_no_images_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: .* needs PATH/train/CLASS/image.png"):
        load(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(ValueError, match=r"no images .* in class folders of .*: expected PATH/train/CLASS"):
        load(f"folder:{tmp_path}")


def test_a_split_that_is_not_there_lists_those_that_are(image_folder):
    with pytest.raises(ValueError, match=r"`split` must name one of test, train in .*, got 'valid"):
        load(f"folder:{image_folder}", "valid[:50%]")
