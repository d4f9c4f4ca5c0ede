"""`l2zoo_digits` is scikit-learn's digits, whole, scaled, split once and for all."""

import hashlib

import numpy as np
from sklearn.datasets import load_digits

from l2zoo.data import L2zooDigits, load
from l2zoo.data.builtin import digits


def rows(x, y):
    """Each image with its label as one tuple, sorted, so that order does not count."""
    return sorted((*image.ravel().tolist(), int(label)) for image, label in zip(x, y, strict=True))


def test_every_digit_of_scikit_learn_is_in_exactly_one_split(tfds_root):
    train = load("l2zoo_digits", data_dir=tfds_root).arrays()
    test = load("l2zoo_digits", "test", data_dir=tfds_root).arrays()
    original = load_digits()
    scaled = np.array([round(v * 255 / 16) for v in range(17)])[original.images.astype(int)]
    assert sorted(rows(*train) + rows(*test)) == rows(scaled, original.target)
    assert train[0].shape == (1437, 8, 8, 1)
    assert train[0].dtype == np.uint8
    assert train[0].max() == 255
    assert test[1].dtype == np.int64


def test_the_split_is_stratified_and_never_moves():
    _, labels = digits.digit_images()
    train, test = digits.split_positions(labels)
    assert np.bincount(labels[test]).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    assert len(train) + len(test) == 1797
    # Recorded once with scikit-learn 1.9.1: another split would make published scores incomparable.
    digest = hashlib.sha256(np.sort(test).astype("<i8").tobytes()).hexdigest()
    assert digest == "2fbaae31b8c6aad12464a07771b64269876d904bfed86f77a63c8265fa201621"


def test_tfds_itself_loads_it_by_name(tfds_root):
    import tensorflow_datasets as tfds

    dataset, info = tfds.load("l2zoo_digits", split="test", data_dir=tfds_root, with_info=True)
    assert len(dataset) == 360
    assert L2zooDigits.name == info.name == "l2zoo_digits"
    assert info.features["label"].num_classes == 10
    assert "10.24432/C50P49" in info.citation
    assert "archive.ics.uci.edu" in info.homepage
    assert "CC BY 4.0" in info.redistribution_info.license
    assert "1,437 examples for training and 360 for testing" in info.description
