"""Painted masks: every class by itself, with colour and without."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.tasks.plots import palette


def area(label: int) -> np.ndarray:
    return palette.painted(np.full((1, 4), label))


def brightness(label: int) -> np.ndarray:
    return area(label) @ [0.299, 0.587, 0.114]


def test_36_classes_and_none_look_in_37_ways():
    assert len({area(label).tobytes() for label in range(-1, 36)}) == 37


def test_five_classes_in_a_row_have_five_patterns():
    for first in (1, 31):
        marks = [(area(label) != area(label)[2, 4]).any(axis=2) for label in range(first, first + 5)]
        for mark in marks:
            mark ^= mark.mean() > 0.5
        assert len({mark.tobytes() for mark in marks}) == 5
        assert sorted(mark.any() for mark in marks) == [False, True, True, True, True]


@pytest.mark.parametrize("label", [-1, *range(2, 6), *range(7, 11)])
def test_marks_differ_from_their_colour_in_brightness(label):
    assert np.ptp(brightness(label)) > 60


def test_the_first_two_classes_that_share_a_pattern_differ_in_brightness():
    assert abs(brightness(1).mean() - brightness(6).mean()) > 30


def test_class_0_is_black_and_what_is_not_labelled_is_grey_with_marks():
    assert not area(0).any()
    grey = area(-1)
    assert (grey == grey[..., :1]).all()
    assert grey.max() == 128  # #808080
    assert grey.min() < 100


@pytest.mark.parametrize(("shape", "factor"), [((2, 3), 160), ((10, 16), 30), ((700, 500), 1)])
def test_every_pixel_becomes_a_square_of_its_class(shape, factor):
    mask = np.arange(shape[0] * shape[1]).reshape(shape) % 2
    painted = palette.painted(mask)
    assert painted.shape == (factor * shape[0], factor * shape[1], 3)
    assert painted.dtype == np.uint8
    expected = np.kron(mask, np.ones((factor, factor), int))[..., None] * [0x56, 0xB4, 0xE9]
    np.testing.assert_array_equal(painted, expected)
