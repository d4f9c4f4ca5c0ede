"""The detector's losses, against NumPy by hand and the boxes that the distances stand for."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from l2zoo.tasks.detection import boxes
from l2zoo.tasks.detection.losses import CenternessLoss, ClassLoss, SidesLoss, giou

pytestmark = pytest.mark.backends


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def number(x: object) -> float:
    return float(ops.convert_to_numpy(x))


def test_giou_is_iou_less_the_empty_part_of_the_box_around_both() -> None:
    # Around the place (10, 10): from (8, 8) to (12, 12), and from (9, 9) to (15, 11).
    one, other = np.array([[2.0, 2, 2, 2]]), np.array([[1.0, 1, 5, 1]])
    shared, union, around = 3 * 2, 16 + 12 - 6, 7 * 4  # the last from (8, 8) to (15, 12)
    found = number(giou(ops.convert_to_tensor(one), ops.convert_to_tensor(other))[0])
    assert found == pytest.approx(shared / union - (around - union) / around, rel=1e-5)


def test_giou_of_equal_boxes_is_one_and_of_nothing_finite() -> None:
    sides = ops.convert_to_tensor(np.array([[1.0, 2, 3, 4], [0, 0, 0, 0]], "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(giou(sides, sides)), [1, 0], atol=1e-6)


def test_the_class_loss_is_the_focal_loss_over_the_places_that_see_something() -> None:
    classes = np.array([[0, boxes.NOTHING, 2]], "float32")[..., None]
    logits = np.random.default_rng(0).normal(size=(1, 3, 3)).astype("float32")
    wanted = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    right = np.where(wanted, sigmoid(logits[0]), 1 - sigmoid(logits[0]))
    weight = np.where(wanted, 0.25, 0.75)
    expected = (-weight * (1 - right) ** 2 * np.log(right)).sum() / 2
    assert number(ClassLoss()(classes, logits)) == pytest.approx(expected, rel=1e-4)


def test_the_sides_loss_weighs_central_places_more_and_those_without_object_not_at_all() -> None:
    truth = np.array([[[2, 2, 2, 2, 1.0], [1, 1, 3, 3, 0.5], [0, 0, 0, 0, 0]]], "float32")
    found = np.array([[[2, 2, 2, 2], [1, 1, 1, 1], [9, 9, 9, 9]]], "float32")
    expected = (1 * 0 + 0.5 * (1 - 4 / 16)) / 1.5  # the second lies in its truth: no empty part
    assert number(SidesLoss()(truth, found)) == pytest.approx(expected, rel=1e-5)


def test_the_centerness_loss_is_the_mean_crossentropy_of_places_with_an_object() -> None:
    truth, logits = np.array([[[0.5], [0.0]]], "float32"), np.array([[[1.0], [5.0]]], "float32")
    expected = -(0.5 * np.log(sigmoid(1.0)) + 0.5 * np.log(1 - sigmoid(1.0)))
    assert number(CenternessLoss()(truth, logits)) == pytest.approx(expected, rel=1e-5)


def test_images_without_objects_have_a_finite_loss() -> None:
    nothing = np.full((2, 4, 1), boxes.NOTHING, "float32")
    assert number(ClassLoss()(nothing, np.zeros((2, 4, 3), "float32"))) > 0
    assert number(SidesLoss()(np.zeros((2, 4, 5), "float32"), np.ones((2, 4, 4), "float32"))) == 0
    assert number(CenternessLoss()(np.zeros((2, 4, 1), "float32"), np.zeros((2, 4, 1), "float32"))) == 0
