"""The scores of the attacks, against their formulas by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from l2zoo.studies.privacy import attacks
from l2zoo.studies.privacy.attacks import confidences

# Four reference models (rows) and two images (columns); the first two models have seen the first image.
REFERENCES = np.array([[4.0, 0.0], [6.0, 1.0], [1.0, 4.0], [2.0, 7.0]])
INSIDE = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
PHI = np.array([4.5, 1.5])


def test_confidences_are_the_logits_of_the_right_class() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05]])
    expected = [math.log(0.2 / 0.8), math.log(0.9 / 0.1)]
    np.testing.assert_allclose(confidences(p, np.array([1, 1])), expected)
    assert p[0, 1] == 0.2  # the answers stay as they are


def test_certain_answers_are_told_apart_by_what_is_left_for_other_classes() -> None:
    p = np.array([[1.0, 1e-12], [1.0, 1e-20], [0.0, 1.0], [1.0, 0.0]], "float32")
    found = confidences(p, np.zeros(4, int))
    np.testing.assert_allclose(found[:2], [12 * math.log(10), 20 * math.log(10)], rtol=1e-6)
    np.testing.assert_allclose(found[2:], [-38 * math.log(10), 38 * math.log(10)], rtol=1e-6)


def test_the_loss_threshold_is_minus_the_cross_entropy() -> None:
    p = np.array([0.999, 0.5, 1e-3])
    np.testing.assert_allclose(attacks.loss_threshold(np.log(p / (1 - p))), np.log(p))


def test_lira_is_the_ratio_of_two_gaussians_whose_variance_all_images_share() -> None:
    # Means in: 5, 5.5; out: 1.5, 0.5. Squares about them in: 2, 4.5; out: 0.5, 0.5; a degree of freedom each.
    std_in, std_out = math.sqrt(6.5 / 2), math.sqrt(1.0 / 2)
    expected = [
        norm.logpdf(4.5, 5.0, std_in) - norm.logpdf(4.5, 1.5, std_out),
        norm.logpdf(1.5, 5.5, std_in) - norm.logpdf(1.5, 0.5, std_out),
    ]
    np.testing.assert_allclose(attacks.lira(PHI, REFERENCES, INSIDE), expected)


def test_offline_lira_orders_images_as_the_test_of_the_paper() -> None:
    found = attacks.lira_offline(PHI, REFERENCES, INSIDE)
    np.testing.assert_allclose(norm.cdf(found), norm.cdf(PHI, [1.5, 0.5], math.sqrt(0.5)))
    np.testing.assert_allclose(attacks.unseen(REFERENCES, INSIDE), [1.5, 0.5])


def test_with_many_models_every_image_has_its_own_variance() -> None:
    rng = np.random.default_rng(0)
    references, inside = (
        rng.normal(size=(64, 3)),
        rng.permuted(np.arange(192).reshape(64, 3) % 64 < 32, axis=0),
    )
    expected = []
    for image, phi in enumerate(np.array([0.5, 1.0, -2.0])):
        seen, other = references[inside[:, image], image], references[~inside[:, image], image]
        means, stds = (seen.mean(), other.mean()), (seen.std(ddof=1), other.std(ddof=1))
        expected.append(norm.logpdf(phi, means[0], stds[0]) - norm.logpdf(phi, means[1], stds[1]))
    np.testing.assert_allclose(attacks.lira(np.array([0.5, 1.0, -2.0]), references, inside), expected)


def test_models_that_all_agree_give_numbers() -> None:
    same = np.ones((4, 2))
    assert np.isfinite(attacks.lira(np.ones(2), same, INSIDE)).all()
    assert attacks.lira_offline(np.ones(2), same, INSIDE) == pytest.approx([0, 0])
