from __future__ import annotations

import numpy as np
import pytest

from l2zoo.tasks.diffusion.memorisation import CHUNK, copying, nearest


def test_neighbours_by_hand() -> None:
    images = np.array([[[0, 0], [0, 0]], [[10, 10], [10, 10]]], "uint8")
    reference = np.array([[[9, 9], [9, 13]], [[0, 0], [0, 4]], [[10, 10], [10, 10]]], "uint8")
    distances, positions = nearest(images, reference)
    assert positions.tolist() == [1, 2]
    np.testing.assert_allclose(distances, [2.0, 0.0])  # sqrt(16 / 4)


def test_neighbours_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    images, reference = 200 + rng.normal(size=(CHUNK + 3, 6)), 200 + rng.normal(size=(40, 6))
    pairs = np.sqrt(((images[:, None] - reference[None]) ** 2).mean(-1))
    distances, positions = nearest(images, reference)
    np.testing.assert_array_equal(positions, pairs.argmin(1))
    np.testing.assert_allclose(distances, pairs.min(1))


def test_copies_are_found_out() -> None:
    train, test = np.array([[0.0], [100.0]]), np.array([[10.0], [95.0]])  # 10 and 5 away
    assert copying(train, train, test) == 1.0
    assert copying(test, train, test) == 0.5
    assert copying([[50.0]], train, test) == 0.0
    assert copying([[7.0]], train, test) == 0.5  # nearer than one of two
    assert copying([[5.0]], train, test) == 0.75  # as near as the other


def test_rows_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows of one shape, got \(2,\) and \(3,\)"):
        nearest(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="`reference` must have rows of numbers"):
        nearest(np.zeros((1, 2)), np.zeros((0, 2)))
