"""Masks: their values, their size, and the nearest pixel."""

import numpy as np
import pytest

from l2zoo.data import check_images, load

X = np.full((3, 4, 6, 3), 100, "uint8")
Y = np.zeros((3, 4, 6), "uint8")


def spoilt(value):
    y = Y.astype(int)
    y[2, 1, 3] = value
    return y


def test_good_masks_pass_in_silence():
    check_images(X, spoilt(255), task="segmentation", num_classes=1)
    check_images(X, spoilt(254), task="segmentation")


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (spoilt(3), r"classes in \[0, 3\) or 255 for not labelled, got the value 3 in y\[2\]"),
        (spoilt(-1), r"got the value -1 in y\[2\]"),
        (spoilt(256), r"got the value 256 in y\[2\]"),
        (Y[:, :, :5], r"masks of 4x5 for images of 4x6 \(height x width\)"),
        (Y[:2], "same length, got 3 images and 2 masks"),
        (Y / 2, r"integers, got dtype=float64: cast them with y.astype\('uint8'\)"),
        (Y[..., 0], r"shape \(N, H, W\), one mask an image, got shape=\(3, 4\)"),
    ],
)
def test_bad_masks_are_named(y, text):
    with pytest.raises(ValueError, match=text):
        check_images(X, y, task="segmentation", num_classes=3)


def test_masks_for_classification_are_told_their_task():
    with pytest.raises(ValueError, match=r"got shape=\(3, 4, 6\): masks need task='segmentation'"):
        load((X, Y))


def test_a_mask_takes_the_nearest_pixel_and_no_mixture():
    mask = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 255, 255], [2, 2, 255, 255]], "uint8")[None]
    x = np.zeros((1, 4, 4, 3), "uint8")
    small = load((x, mask), task="segmentation", image_size=(2, 2)).arrays()[1]
    assert small.tolist() == [[[0, 1], [2, 255]]]
    large = load((x[:, :2, :2], small), task="segmentation", image_size=(4, 4)).arrays()[1]
    np.testing.assert_array_equal(large, mask)


def test_masks_without_a_label_are_refused_and_those_of_one_class_are_not():
    with pytest.raises(ValueError, match="no labelled pixels in the masks of `y`: all are 255"):
        load((X, np.full_like(Y, 255)), task="segmentation")
    assert load((X, Y), task="segmentation").class_names == ("0",)
