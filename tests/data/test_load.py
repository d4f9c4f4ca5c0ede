"""`load`: from arrays and names, with limit, noise and resizing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from l2zoo.data import batching, load


def pixels(count=12, size=(4, 6), channels=3, dtype="uint8"):
    return np.random.RandomState(0).randint(0, 256, (count, *size, channels)).astype(dtype)


LABELS = np.arange(12) % 3


def test_importing_is_light():
    heavy = ("tensorflow", "tensorflow_datasets", "keras", "sklearn", "PIL")
    code = f"import sys, l2zoo.data; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_what_predicts_loads_nothing_that_loads_data():
    code = (
        "import sys, l2zoo.inference.predictor; "
        "print([name for name in ('l2zoo.data.load', 'l2zoo.data.images', 'tensorflow') if name in "
        "sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_load_stays_the_function_after_its_module_is_imported():
    code = (
        "import l2zoo.data.load; from l2zoo.data import load, divided; print(load.__name__, divided.__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["load", "divided"]


def test_arrays_keep_their_values_and_tell_their_facts():
    x = pixels()
    data = load((x, LABELS), "validation")
    assert data.arrays()[0] is x
    np.testing.assert_array_equal(data.arrays()[1], LABELS)
    facts = (data.name, data.split, data.num_examples, data.num_classes, data.class_names, data.image_shape)
    assert facts == ("arrays", "validation", 12, 3, ("0", "1", "2"), (4, 6, 3))


def test_arrays_are_brought_to_one_form():
    x, y = load((pixels()[..., 0].astype("int64"), LABELS[:, None].astype("uint8"))).arrays()
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((12, 4, 6, 1), np.uint8, (12,), np.int64)
    assert load((pixels(dtype="float64"), LABELS)).arrays()[0].dtype == np.float32
    assert load([pixels().tolist(), LABELS.tolist()]).num_examples == 12


def test_arrays_are_checked_when_loaded():
    with pytest.raises(ValueError, match="same length, got 12 images and 11 labels"):
        load((pixels(), LABELS[:-1]))
    with pytest.raises(ValueError, match=r"shape \(N, H, W, C\), got shape=\(12, 4\)"):
        load((pixels()[:, :, 0, 0], LABELS))


def test_resizing_is_that_of_pillow():
    x = pixels(size=(16, 16), channels=1)
    resized = load((x, LABELS), image_size=(5, 8)).arrays()[0]
    expected = [
        np.asarray(Image.fromarray(image[..., 0]).resize((8, 5), Image.Resampling.BILINEAR)) for image in x
    ]
    assert resized.dtype == np.uint8
    np.testing.assert_allclose(resized[..., 0].astype(int), np.array(expected).astype(int), atol=1)


def test_resizing_reaches_named_data(tfds_root):
    data = load("l2zoo_digits", "test[:9]", data_dir=tfds_root, image_size=(16, 12))
    assert data.image_shape == data.arrays()[0].shape[1:] == (16, 12, 1)
    small = load("l2zoo_digits", "test[:9]", data_dir=tfds_root).arrays()
    again = load(small, image_size=(16, 12)).arrays()
    np.testing.assert_array_equal(data.arrays()[0], again[0])


def test_slices_are_those_of_tfds(tfds_root):
    everything = load("l2zoo_digits", data_dir=tfds_root).arrays()[1]
    first = load("l2zoo_digits", "train[:80%]", data_dir=tfds_root).arrays()[1]
    rest = load("l2zoo_digits", "train[80%:]", data_dir=tfds_root).arrays()[1]
    assert len(first) == 1150  # 80 % of 1437 is 1149.6
    np.testing.assert_array_equal(np.concatenate([first, rest]), everything)


@pytest.mark.parametrize("streamed", [False, True])
def test_limit_and_noise_choose_the_same_from_names_as_from_arrays(tfds_root, monkeypatch, streamed):
    choice = {"limit": 100, "label_noise": 0.2, "seed": 4}
    everything = load("l2zoo_digits", "test", data_dir=tfds_root).arrays()
    expected = load(everything, **choice).arrays()
    clean = load("l2zoo_digits", "test", data_dir=tfds_root, limit=100, seed=4).arrays()
    if streamed:
        monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    data = load("l2zoo_digits", "test", data_dir=tfds_root, **choice)
    x, y = (np.concatenate(parts) for parts in zip(*data.batches(32).as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(y, expected[1])
    assert data.num_examples == 100
    np.testing.assert_array_equal(x, clean[0])
    assert (y != clean[1]).sum() == 20


def test_classes_are_kept_and_numbered_in_the_order_they_are_named(tfds_root):
    x, y = load("l2zoo_digits", "test", data_dir=tfds_root).arrays()
    data = load("l2zoo_digits", "test", data_dir=tfds_root, classes=["7", "3"], limit=20, seed=1)
    images, labels = data.arrays()
    assert (data.class_names, data.num_classes, data.num_examples) == (("7", "3"), 2, 20)
    assert sorted(np.bincount(labels)) == [10, 10]
    for image, label in zip(images, labels, strict=True):
        (found,) = np.flatnonzero((x == image).all(axis=(1, 2, 3)))
        assert y[found] == (7, 3)[label]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"image_size": 28}, r"`image_size` must be \(H, W\), two integers .* got image_size=28"),
        ({"image_size": (28, 0)}, r"got image_size=\(28, 0\)"),
        ({"limit": 0}, "`limit` must be an integer of at least 1 or None, got limit=0"),
        ({"limit": 13}, "at most the 12 examples there are, got limit=13"),
        ({"limit": 2}, "at least the number of classes, 3, .* got limit=2"),
        ({"label_noise": 1.0}, r"`label_noise` must be in \[0, 1\), got label_noise=1.0"),
        ({"label_noise": -0.1}, "got label_noise=-0.1"),
        ({"classes": ["0", "9"]}, r"`classes` must be at least two different ones of \['0', '1', '2'\], got"),
        ({"classes": ["1", "1"]}, r"got classes=\['1', '1'\]"),
        ({"classes": "12"}, "`classes` must be names, .* got classes='12'"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got seed=-1"),
    ],
)
def test_an_argument_out_of_range_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        load((pixels(), LABELS), **arguments)


@pytest.mark.parametrize("source", [Path("somewhere"), 3, pixels(), (pixels(),)])
def test_another_kind_of_source_is_refused(source):
    with pytest.raises(
        TypeError, match=r"a TFDS name such as 'mnist', 'folder:PATH' or arrays \(x, y\), got"
    ):
        load(source)


def test_mnist_is_mnist(mnist_root):
    data = load("mnist", "test", data_dir=mnist_root)
    x, y = data.arrays()
    # As published: 10,000 test images with these numbers of the digits 0 to 9.
    assert np.bincount(y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert x.shape == (10_000, 28, 28, 1)
    assert 33.7 < x.mean() < 33.9  # 0.1325 of 255, published for the test images
    assert isinstance(data.batches(8), tf.data.Dataset)
