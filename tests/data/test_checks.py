"""Bad data ends in a sentence that names what is wrong and what to do."""

import numpy as np
import pytest

from l2zoo.data import check_folds, check_images


def images(count=4, dtype="uint8"):
    return np.full((count, 2, 2, 1), 100, dtype)


LABELS = np.array([0, 1, 2, 1])


def test_good_data_passes_in_silence():
    check_images(images(), LABELS, num_classes=3)
    check_images(images(dtype="float32"), LABELS)


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (images(0), LABELS[:0], r"no images: x has shape=\(0, 2, 2, 1\)"),
        (images()[..., 0], LABELS, r"`x` must have shape \(N, H, W, C\), got shape=\(4, 2, 2\)"),
        (images(), LABELS[:3], "same length, got 4 images and 3 labels"),
        (images(), np.eye(4), r"got shape=\(4, 4\): turn one-hot .* y.argmax\(axis=1\)"),
        (images(), LABELS / 2, r"integers, got dtype=float64: cast .* y.astype\('int64'\)"),
        (images(), LABELS - 1, r"in \[0, 3\) for num_classes=3, got y\[0\]=-1"),
        (images(), LABELS + 1, r"in \[0, 3\) for num_classes=3, got y\[2\]=3"),
        (images(dtype="int32") * 3, LABELS, r"in \[0, 255\], got values in \[300, 300\]"),
    ],
)
def test_bad_data_is_named(x, y, text):
    with pytest.raises(ValueError, match=text):
        check_images(x, y, num_classes=3)


def test_images_of_different_sizes_in_one_array_are_named():
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros((2, 2, 1)), np.zeros((3, 2, 1))]
    with pytest.raises(ValueError, match="images of different sizes"):
        check_images(ragged, LABELS[:2])


def test_negative_labels_are_named_without_num_classes():
    with pytest.raises(ValueError, match=r"at least 0, got y\[1\]=-1"):
        check_images(images(2), np.array([0, -1]))


def test_pixels_that_are_not_numbers_are_a_type_error():
    with pytest.raises(TypeError, match="must hold numbers, got dtype=bool"):
        check_images(images() > 0, LABELS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_image_with_a_pixel_that_is_not_finite_is_named(value):
    x = images(dtype="float32")
    x[2, 1, 1, 0] = value
    with pytest.raises(ValueError, match=r"`x` must hold finite .* first in image 2"):
        check_images(x, LABELS)


def test_float_pixels_that_look_normalised_are_a_warning():
    x = images(dtype="float32") / 255
    with pytest.warns(UserWarning, match="Multiply them by 255, or pass them before any scaling"):
        check_images(x, LABELS)
    with pytest.warns(UserWarning, match=r"got values in \[-0.6.*Pass them before any scaling"):
        check_images(x - 1, LABELS)


def test_black_images_do_not_look_normalised():
    check_images(np.zeros((4, 2, 2, 1)), LABELS)


def test_a_class_with_fewer_examples_than_folds_is_named():
    y = [0] * 5 + [1] * 3
    check_folds(y, 3)
    with pytest.raises(
        ValueError, match=r"`folds`=5, but class 1 has 3 examples. Use folds=3 or add examples"
    ):
        check_folds(y, 5)
    with pytest.raises(ValueError, match=r"class 1 has 1 example. Add examples or leave the class out"):
        check_folds([0, 0, 1], 2)
    with pytest.raises(ValueError, match="class 2 has 0 examples"):
        check_folds(y, 2, num_classes=3)


def test_folds_below_two_are_refused():
    with pytest.raises(ValueError, match="at least 2, got folds=1"):
        check_folds([0, 1], 1)
    with pytest.raises(ValueError, match=r"`folds` must be an integer of at least 2, got folds=2.0"):
        check_folds([0, 1], 2.0)
