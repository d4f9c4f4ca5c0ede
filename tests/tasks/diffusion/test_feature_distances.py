"""Distances between sets of features, in closed form and over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from l2zoo.tasks.diffusion.feature_distances import CHUNK, copying, frechet_distance, nearest_neighbours


def test_neighbours_by_hand() -> None:
    images = np.array([[[0, 0], [0, 0]], [[10, 10], [10, 10]]], "uint8")
    reference = np.array([[[9, 9], [9, 13]], [[0, 0], [0, 4]], [[10, 10], [10, 10]]], "uint8")
    distances, positions = nearest_neighbours(images, reference)
    assert positions.tolist() == [1, 2]
    np.testing.assert_allclose(distances, [2.0, 0.0])  # sqrt(16 / 4)


def test_neighbours_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    images, reference = 200 + rng.normal(size=(CHUNK + 3, 6)), 200 + rng.normal(size=(40, 6))
    pairs = np.sqrt(((images[:, None] - reference[None]) ** 2).mean(-1))
    distances, positions = nearest_neighbours(images, reference)
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
        nearest_neighbours(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="`reference` must have rows of numbers"):
        nearest_neighbours(np.zeros((1, 2)), np.zeros((0, 2)))


def with_moments(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Rows that have this mean and this diagonal covariance exactly."""
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * len(mean))).reshape(len(mean), -1).T
    return mean + corners * std * np.sqrt((len(corners) - 1) / len(corners))


def test_diagonal_gaussians_have_a_closed_form() -> None:
    m1, s1 = np.array([1.0, -2.0, 0.5]), np.array([1.0, 2.0, 0.1])
    m2, s2 = np.array([0.0, 1.0, 0.5]), np.array([3.0, 2.0, 0.4])
    expected = ((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum()
    assert frechet_distance(with_moments(m1, s1), with_moments(m2, s2)) == pytest.approx(expected, rel=1e-12)


def test_any_gaussians_are_as_far_apart_as_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)), 1 + rng.normal(size=(40, 4))
    c1, c2 = np.cov(a.T), np.cov(b.T)
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = apart + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_fewer_examples_than_features_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    few, others = rng.normal(size=(3, 50)), rng.normal(size=(5, 50))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(few, others) == pytest.approx(frechet_distance(others, few), rel=1e-9)
    assert np.isfinite(frechet_distance(few, others))
    assert frechet_distance(np.ones((2, 3)), np.zeros((4, 3))) == pytest.approx(3)  # no spread at all


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.zeros(3), np.full((2, 3), np.nan)])
def test_what_is_no_set_of_features_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="`features` must be finite numbers of shape"):
        frechet_distance(bad, np.zeros((2, 3)))


def test_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="the same number of columns, got 3 and 4"):
        frechet_distance(np.zeros((2, 3)), np.zeros((2, 4)))
