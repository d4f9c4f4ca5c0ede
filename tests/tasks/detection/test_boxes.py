from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2zoo.tasks.detection import boxes

WHERE = boxes.places(64, 96, strides=(4, 8, 16))


def corners(sides: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The boxes `(N, 4)` that places with such distances to the left, top, right and bottom speak of."""
    return np.concatenate([where[:, :2] - sides[:, :2], where[:, :2] + sides[:, 2:]], axis=1)


def test_places_are_in_the_order_of_the_detectors_outputs():
    assert len(WHERE) == 16 * 24 + 8 * 12 + 4 * 6
    np.testing.assert_array_equal(WHERE[[0, 1, 24]], [[2, 2, 4], [6, 2, 4], [2, 6, 4]])
    np.testing.assert_array_equal(WHERE[384], [4, 4, 8])
    np.testing.assert_array_equal(WHERE[-1], [88, 56, 16])


def test_targets_by_hand():
    """A box of 8x8 around (22, 34): the place in its centre is inside, the next ones are on the edge."""
    found = boxes.place_targets(np.array([[18, 30, 26, 38]]), np.array([3]), WHERE)
    seen = np.flatnonzero(found.classes != boxes.NOTHING)
    assert {tuple(WHERE[i]) for i in seen} == {(22, 34, 4)}
    np.testing.assert_array_equal(found.classes[seen], [3])
    np.testing.assert_array_equal(found.sides[seen], [[4, 4, 4, 4]])
    np.testing.assert_array_equal(found.centerness[seen], [1])
    assert not found.sides[found.classes == boxes.NOTHING].any()


def test_large_boxes_belong_to_coarse_levels():
    for box, stride in (([20, 20, 44, 44], 4), ([8, 8, 56, 56], 8), ([0, 0, 96, 64], 16)):
        found = boxes.place_targets(np.array([box]), np.array([0]), WHERE)
        assert set(WHERE[found.classes == 0, 2]) == {stride}


def test_of_two_boxes_a_place_sees_the_smaller():
    pair = np.array([[10, 10, 34, 34], [18, 18, 26, 26]])
    found = boxes.place_targets(pair, np.array([0, 1]), WHERE)
    centre = np.flatnonzero((WHERE[:, 0] == 22) & (WHERE[:, 1] == 22) & (WHERE[:, 2] == 4))
    assert found.classes[centre] == 1
    assert (found.classes == 0).any()


def test_an_image_without_objects_is_all_background():
    found = boxes.place_targets(np.zeros((0, 4)), np.zeros(0), WHERE)
    assert (found.classes == boxes.NOTHING).all()
    assert not found.sides.any()
    assert not found.centerness.any()


@given(
    x=st.floats(2, 60), y=st.floats(2, 40), w=st.floats(10, 30), h=st.floats(10, 24), label=st.integers(0, 9)
)
def test_the_sides_of_a_place_lead_to_the_corners_of_its_box(x, y, w, h, label):
    box = np.array([[x, y, min(x + w, 96), min(y + h, 64)]], np.float32)
    found = boxes.place_targets(box, np.array([label]), WHERE)
    seen = found.classes != boxes.NOTHING
    assert seen.any()
    decoded = corners(found.sides, WHERE)[seen]
    np.testing.assert_allclose(decoded, np.repeat(box, seen.sum(), axis=0), atol=1e-4)
    assert set(found.classes[seen]) == {label}


def test_every_digit_of_real_scenes_is_seen_by_some_place():
    from l2zoo.data.builtin.scenes import scenes

    where = boxes.places(64, 64, strides=(4, 8, 16))
    missed = total = 0
    for scene in scenes("train", count=100):
        found = boxes.place_targets(scene.boxes_xyxy, scene.labels, where)
        decoded = np.unique(corners(found.sides, where)[found.classes >= 0].round(), axis=0)
        total += len(scene.boxes_xyxy)
        missed += sum(not (decoded == box).all(axis=1).any() for box in scene.boxes_xyxy)
    assert missed <= 0.02 * total


@pytest.mark.parametrize(
    ("box", "labels", "message"),
    [
        ([[0, 0, 4, 4]], [1, 2], "`labels` must be one for each of 1 boxes, got 2"),
        ([[4, 4, 4, 8]], [1], r"with an area; box 0 is \[4.0, 4.0, 4.0, 8.0\]"),
        ([[0, 0, 4, 4], [9, 9, 2, 2]], [1, 1], "box 1 is"),
    ],
)
def test_bad_boxes_are_refused(box, labels, message):
    with pytest.raises(ValueError, match=message):
        boxes.place_targets(np.array(box), np.array(labels), WHERE)
