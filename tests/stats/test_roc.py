"""Curves and intervals of an attack, against scikit-learn and loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from l2zoo.stats import roc as roc_module
from l2zoo.stats.roc import Interval, advantage, auc, roc, tpr_at_false_positives


def scores(n: int = 60, m: int = 50, *, shift: float = 0.7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Of members and others, rounded so that there are ties."""
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, n).round(1), rng.normal(0, 1, m).round(1)


def test_the_curve_is_that_of_scikit_learn() -> None:
    members, others = scores()
    labels = np.repeat([1, 0], [len(members), len(others)])
    fpr, tpr, _ = roc_curve(labels, np.concatenate([members, others]), drop_intermediate=False)
    found = roc(members, others)
    np.testing.assert_allclose(found.fpr, fpr)
    np.testing.assert_allclose(found.tpr, tpr)
    assert found.advantage == pytest.approx((tpr - fpr).max())


def test_the_interval_of_the_auc_is_that_of_delong_by_hand() -> None:
    members, others = scores(30, 25)
    wins = np.array([[float(a > b) + 0.5 * float(a == b) for b in others] for a in members])  # (30, 25)
    error = 1.959964 * np.sqrt(wins.mean(axis=1).var(ddof=1) / 30 + wins.mean(axis=0).var(ddof=1) / 25)
    found = auc(members, others)
    labels = np.repeat([1, 0], [30, 25])
    assert found.value == pytest.approx(roc_auc_score(labels, np.concatenate([members, others])))
    assert found.value == pytest.approx(wins.mean())
    assert (found.low, found.high) == pytest.approx((wins.mean() - error, wins.mean() + error), abs=1e-6)


def test_a_perfect_attack_and_scores_that_are_all_the_same() -> None:
    perfect = auc(np.array([2.0, 3.0]), np.array([0.0, 1.0]))
    assert perfect == Interval(1.0, 1.0, 1.0)
    assert auc(np.zeros(5), np.zeros(4)).value == 0.5
    assert roc(np.zeros(5), np.zeros(4)).advantage == 0
    assert tpr_at_false_positives(np.zeros(50), np.zeros(99)).value == 0


def test_the_bootstrap_agrees_with_one_that_sorts_every_draw() -> None:
    members, others = scores(200, 200, shift=1.0)
    grid = np.unique(np.concatenate([members, others]))[:, None]
    gap = (members >= grid).mean(axis=1) - (others >= grid).mean(axis=1)
    rng = np.random.default_rng(99)
    farthest = []
    for _ in range(1000):
        mine, theirs = rng.choice(members, 200), rng.choice(others, 200)
        drawn = (mine >= grid).mean(axis=1) - (theirs >= grid).mean(axis=1)
        farthest.append(np.abs(drawn - gap).max())
    found, half = advantage(members, others, seed=0), np.quantile(farthest, 0.95)
    assert found.value == pytest.approx(gap.max())
    assert (found.low, found.high) == pytest.approx((gap.max() - half, gap.max() + half), abs=0.01)


@pytest.mark.parametrize(("count", "through"), [(99, 0), (100, 0), (198, 0), (199, 1), (1000, 9)])
def test_a_new_image_is_let_through_in_at_most_1_of_100(count: int, through: int) -> None:
    members, others = np.arange(3000) + 0.5, np.random.default_rng(0).choice(3000, count, replace=False)
    threshold = np.sort(others)[-1 - through]
    found = tpr_at_false_positives(members, others)
    assert found.value == np.mean(members > threshold)
    assert (through + 1) / (count + 1) <= 0.01 < (through + 2) / (count + 1)
    assert found.low <= found.value <= found.high


def test_where_1_of_100_cannot_be_had_it_is_said() -> None:
    with pytest.raises(ValueError, match="needs at least 99 other images, got 98"):
        tpr_at_false_positives(np.zeros(200), np.zeros(98))


@pytest.mark.parametrize(("members", "others"), [(100, 100), (300, 600)])
def test_the_interval_of_the_rate_holds_the_truth_in_at_least_94_of_100_samples(
    members: int, others: int
) -> None:
    shift = 1.5
    truth = norm.sf(norm.isf(0.01) - shift)
    rng = np.random.default_rng(0)
    found = [
        tpr_at_false_positives(rng.normal(shift, 1, members), rng.normal(0, 1, others)) for _ in range(300)
    ]
    assert sum(truth in one for one in found) >= 0.94 * 300
    assert np.mean([one.value for one in found]) <= 1.1 * truth


def test_an_attack_that_knows_nothing_has_no_advantage_in_nearly_all_samples(monkeypatch) -> None:
    monkeypatch.setattr(roc_module, "DRAWS", 200)  # of which 95 % are told as well
    found = [advantage(*scores(120, 100, shift=0, seed=seed), seed=0) for seed in range(20)]
    assert np.mean([one.value for one in found]) > 0.05  # the best of many thresholds seems to be good
    assert sum(0.0 in one for one in found) >= 18


def test_the_interval_of_the_auc_holds_the_truth_in_about_95_of_100_samples() -> None:
    found = [auc(*scores(100, 100, shift=0, seed=seed)) for seed in range(200)]
    assert 180 <= sum(0.5 in one for one in found) <= 198
