from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from l2zoo.tasks.diffusion.frechet import frechet_distance


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
