"""Boxes that cannot be right are named with their place and the next step."""

import numpy as np
import pytest

from l2zoo.data import check_images

X = np.full((3, 8, 10, 3), 100, "uint8")


def boxes(*, image=1, row=0, box=(1, 2, 5, 6), label=0):
    """Three images with two rows each; the first row of each is an object but for the changes."""
    y = {"boxes_xyxy": np.zeros((3, 2, 4)), "labels": np.full((3, 2), -1)}
    y["boxes_xyxy"][:, 0], y["labels"][:, 0] = (1, 2, 5, 6), 0
    y["boxes_xyxy"][image, row], y["labels"][image, row] = box, label
    return y


def test_good_boxes_pass_in_silence():
    check_images(X, boxes(), task="detection", num_classes=1)
    check_images(X, boxes(box=(0, 0, 10, 8)), task="detection")
    check_images(X, boxes(box=(-0.9, 0, 10.9, 8)), task="detection")  # rounding
    check_images(X, boxes(box=(0, 0, 0, 0), label=-1), task="detection")  # an image without objects


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (
            boxes(box=(0, 0, 12, 8)),
            r"inside their image, got boxes_xyxy\[1, 0\]=\[0.0, 0.0, 12.0, 8.0\] in an image of 8x10",
        ),
        (
            boxes(box=(-2, 0, 5, 8)),
            r"got boxes_xyxy\[1, 0\]=\[-2.0, .*left, top, right, bottom\) in pixels",
        ),
        (boxes(box=(5, 2, 5, 6)), r"with an area, got boxes_xyxy\[1, 0\]=\[5.0, 2.0, 5.0, 6.0\] .*: drop it"),
        (boxes(box=(6, 4, 3, 2)), r"whether the format is \(left, top, width, height\)"),
        (boxes(box=(10.2, 0, 10.8, 5)), "with an area"),  # none inside the image
        (boxes(box=(1, np.nan, 5, 6)), r"must be finite, got boxes_xyxy\[1, 0\]=\[1.0, nan, .*repair it"),
        (boxes(label=4), r"Labels must be in \[0, 3\) for num_classes=3, got labels\[1, 0\]=4"),
        (boxes(label=-2), r"got labels\[1, 0\]=-2"),
        (boxes(label=-1), r"label -1 must hold zeros, got boxes_xyxy\[1, 0\]=.* give the box a class"),
        (
            boxes(box=(0, 0, 0, 0), label=-1) | {"labels": np.array([[0, -1], [-1, 0], [0, -1]])},
            r"must come last, but labels\[1\]",
        ),
        ({"boxes_xyxy": np.zeros((3, 2, 4))}, "dict of 'boxes_xyxy' and 'labels' .* got the keys boxes_xyxy"),
        (np.zeros((3, 2, 4)), "dict of 'boxes_xyxy' and 'labels' for task='detection', got ndarray"),
        (boxes() | {"labels": np.zeros((3, 3), int)}, r"got shapes \(3, 2, 4\) and \(3, 3\)"),
        (boxes() | {"labels": np.zeros((2, 2), int)}, "same length, got 3 images and 2 rows of boxes"),
        (
            boxes() | {"labels": np.zeros((3, 2))},
            r"integers, got dtype=float64: cast .* labels.astype\('int64'\)",
        ),
    ],
)
def test_bad_boxes_are_named(y, text):
    with pytest.raises(ValueError, match=text):
        check_images(X, y, task="detection", num_classes=3)


def test_boxes_that_are_shares_of_the_image_are_a_warning():
    y = boxes()
    y["boxes_xyxy"] /= 10
    with pytest.warns(UserWarning, match=r"look like shares .* \(they end at 0.6\), but pixels are expected"):
        check_images(X, y, task="detection")


def test_boxes_that_are_not_numbers_are_a_type_error():
    with pytest.raises(TypeError, match="Boxes must be numbers, got dtype=<U1"):
        check_images(X, boxes() | {"boxes_xyxy": np.full((3, 2, 4), "a")}, task="detection")
