"""TFDS names: what is missing or unknown ends in one sentence, and the network is left alone."""

import re
import shutil
import socket
import sys
import urllib.request

import numpy as np
import pytest

from l2zoo.data import batching, load
from l2zoo.data.sources import tfds as l2zoo_tfds


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was tried")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_missing_data_set_is_one_sentence_and_no_network(no_network, tmp_path, capfd):
    with pytest.raises(FileNotFoundError) as error:
        load("cifar10", data_dir=tmp_path)
    text = str(error.value)
    assert text.startswith(f"The data set 'cifar10' is not on this machine: looked for {tmp_path}")
    for step in ("pass download=True", "tfds.load('cifar10', data_dir=FOLDER)", "TFDS_DATA_DIR"):
        assert step in text
    assert "\n" not in text
    assert error.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


def test_another_version_that_is_there_is_offered(no_network, tmp_path):
    folder = tmp_path / "cifar10" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"there is 3.0.1: ask for 'cifar10:3.0.1'"):
        load("cifar10", data_dir=tmp_path)


def test_a_download_that_cannot_reach_its_host_says_so_at_once(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with pytest.raises(FileNotFoundError, match=r"cs.toronto.edu, which has .* cannot be reached from here"):
        load("cifar10", data_dir=tmp_path, download=True)


def test_a_download_that_fails_gives_its_reason_and_the_way_out(monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    def fail(self, **kwargs):
        raise OSError("connection reset\nand a long story")

    monkeypatch.setattr(l2zoo_tfds, "_unreachable_host", lambda builder: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(FileNotFoundError, match=r"'cifar10' failed \(connection reset\). .* data_dir="):
        load("cifar10", data_dir=tmp_path, download=True)
    with pytest.raises(FileNotFoundError, match=r"(?s)must be downloaded by hand: .*ILSVRC2012"):
        load("imagenet2012", data_dir=tmp_path, download=True)


def test_an_unknown_name_lists_close_ones(no_network, tmp_path):
    with pytest.raises(
        ValueError, match=r"'mnst' is not a data set that TFDS knows: did you mean .*mnist"
    ) as error:
        load("mnst", data_dir=tmp_path)
    assert len(str(error.value)) < 200
    with pytest.raises(ValueError, match="did you mean l2zoo_digits"):
        load("l2zoo_digit", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"'qqqqqqqq' .* such as mnist or cifar10"):
        load("qqqqqqqq", data_dir=tmp_path)


def test_a_folder_given_as_a_name_is_told_the_prefix(no_network, image_folder, monkeypatch):
    monkeypatch.chdir(image_folder.parent)
    for name in ("pets", "./pets", "pets/train", "pets/train/", str(image_folder)):
        with pytest.raises(ValueError, match=re.escape(f"did you mean 'folder:{name}'?") + "$"):
            load(name, data_dir=image_folder)


@pytest.mark.parametrize("name", ["./cats", "~/cats", "C:\\cats", "cats\\dogs", "/no/such/cats", "cats/x/y"])
def test_a_path_that_is_not_there_is_told_the_prefix_too(no_network, name):
    with pytest.raises(ValueError, match=re.escape(f"did you mean 'folder:{name}'? But there is no such")):
        load(name)


@pytest.mark.parametrize("name", ["", "cats and dogs", "cats.zip"])
def test_what_is_no_name_of_a_data_set_gets_no_grammar(no_network, name):
    with pytest.raises(ValueError, match="is not a data set that TFDS knows") as error:
        load(name)
    assert "\n" not in str(error.value)


def test_an_archive_is_to_be_unpacked(no_network, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cats.zip").touch()
    with pytest.raises(ValueError, match=r"unpack cats.zip into a folder, and pass 'folder:PATH'"):
        load("cats.zip")


def test_a_community_data_set_is_refused_without_network(no_network):
    with pytest.raises(ValueError, match=r"'huggingface:mnist' from a community: .* 'folder:PATH'"):
        load("huggingface:mnist")


def test_without_tfds_names_say_what_to_install_and_arrays_still_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"pip install l2zoo; or take .* arrays \(x, y\)"):
        load("l2zoo_digits")
    assert load((np.zeros((2, 8, 8)), [0, 1])).arrays()[0].shape == (2, 8, 8, 1)


def test_an_unknown_split_lists_the_known_ones(tfds_root):
    with pytest.raises(ValueError, match=r"`split` must be train or test, or a slice .* got split='valid'"):
        load("l2zoo_digits", "valid", data_dir=tfds_root)
    with pytest.raises(ValueError, match=r"no images in split='train\[:0%\]' of l2zoo_digits"):
        load("l2zoo_digits", "train[:0%]", data_dir=tfds_root)


def test_a_data_set_that_lost_a_file_is_named(tfds_root, tmp_path):
    shutil.copytree(tfds_root, tmp_path / "copy")
    next((tmp_path / "copy").rglob("*test.tfrecord*")).unlink()
    with pytest.raises(
        ValueError, match=r"l2zoo_digits test in .* cannot be read \(.*tfrecord.*prepare it again"
    ):
        load("l2zoo_digits", "test", data_dir=tmp_path / "copy").arrays()


@pytest.fixture(scope="module")
def odd_root(tmp_path_factory):
    """TFDS data sets that are odd in one way each."""
    import tensorflow_datasets as tfds

    classes = tfds.features.ClassLabel(names=["a", "b"])
    shapeless = tfds.features.Image(shape=(None, None, 1))
    odd = {
        "odd_sizes": {"image": shapeless, "label": classes},
        "odd_same": {"image": shapeless, "label": classes},
        "odd_unknown": {"image": shapeless, "label": classes},
        "odd_two": {"left": shapeless, "right": shapeless, "label": classes},
        "odd_float": {"image": tfds.features.Image(shape=(4, 4, 1), dtype=np.float32), "label": classes},
    }
    root = tmp_path_factory.mktemp("odd")
    for name, features in odd.items():
        examples = [
            (i, {key: label_of(name, i) if key == "label" else image_of(name, i) for key in features})
            for i in range(4)
        ]
        tfds.dataset_builders.store_as_tfds_dataset(
            name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={"train": examples},
            data_dir=root,
        )
    return root


def label_of(name, i):
    return -1 if name == "odd_unknown" else i % 2


def image_of(name, i):
    if name == "odd_float":
        return np.full((4, 4, 1), 10.5 * i, np.float32)
    return np.full((4 + (name == "odd_sizes" and i == 2), 4, 1), i, np.uint8)


def test_a_data_set_that_tfds_has_no_code_for_is_read_from_its_files(odd_root):
    data = load("odd_same", data_dir=odd_root)
    assert data.image_shape == (4, 4, 1)
    assert data.class_names == ("a", "b")
    assert sorted(data.arrays()[0][:, 0, 0, 0].tolist()) == [0, 1, 2, 3]


def test_sizes_that_differ_are_named_when_loaded(odd_root):
    with pytest.raises(ValueError, match=r"differ in size: image 0 is .* Pass image_size=\(H, W\)"):
        load("odd_sizes", data_dir=odd_root)
    assert load("odd_sizes", data_dir=odd_root, image_size=(3, 3)).arrays()[0].shape == (4, 3, 3, 1)


def test_float_images_stay_float(odd_root):
    x, _ = load("odd_float", data_dir=odd_root).arrays()
    assert sorted(x[:, 0, 0, 0].tolist()) == [0, 10.5, 21, 31.5]


def test_two_images_an_example_are_refused(odd_root):
    with pytest.raises(ValueError, match=r"not one 8-bit image and one class label .* label, left, right"):
        load("odd_two", data_dir=odd_root)


def test_examples_without_a_label_are_refused(odd_root, monkeypatch):
    data = load("odd_unknown", data_dir=odd_root)
    with pytest.raises(ValueError, match=r"Labels must be in \[0, 2\) .* got y\[0\]=-1"):
        data.arrays()
    with pytest.raises(ValueError, match=r"examples without a label \(-1\): choose another split"):
        load("odd_unknown", data_dir=odd_root, limit=2)
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    with pytest.raises(Exception, match="A label is negative"):
        list(data.batches(2))
