"""Curves and intervals of an attack, against scikit-learn and loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from l2zoo.stats import roc as roc_module
from l2zoo.stats.roc import Interval, advantage_and_tpr, auc, roc


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
    assert found.tpr_at(0.1) == pytest.approx(
        np.mean(members > np.sort(others)[-6])
    )  # 5 of 50 are let through
    assert found.tpr_at(0.01) == np.mean(members > others.max())


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
    assert roc(np.zeros(5), np.zeros(4)).tpr_at(0.01) == 0


def test_the_bootstrap_agrees_with_one_that_sorts_every_draw() -> None:
    members, others = scores(200, 200, shift=1.0)
    grid = np.unique(np.concatenate([members, others]))[:, None]
    gap = (members >= grid).mean(axis=1) - (others >= grid).mean(axis=1)
    rng = np.random.default_rng(99)
    rates, farthest = [], []
    for _ in range(1000):
        mine, theirs = rng.choice(members, 200), rng.choice(others, 200)
        rates.append(np.mean(mine > np.sort(theirs)[-3]))  # two of 200 are 1 %
        drawn = (mine >= grid).mean(axis=1) - (theirs >= grid).mean(axis=1)
        farthest.append(np.abs(drawn - gap).max())
    advantage, rate = advantage_and_tpr(members, others, seed=0)
    assert rate.value == np.mean(members > np.sort(others)[-3])
    assert (rate.low, rate.high) == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=0.025)
    half = np.quantile(farthest, 0.95)
    assert advantage.value == pytest.approx(gap.max())
    assert (advantage.low, advantage.high) == pytest.approx((gap.max() - half, gap.max() + half), abs=0.01)


def test_an_attack_that_knows_nothing_has_no_advantage_in_nearly_all_samples(monkeypatch) -> None:
    monkeypatch.setattr(roc_module, "DRAWS", 200)  # of which 95 % are told as well
    found = [advantage_and_tpr(*scores(120, 100, shift=0, seed=seed), seed=0)[0] for seed in range(20)]
    assert np.mean([one.value for one in found]) > 0.05  # the best of many thresholds seems to be good
    assert sum(0.0 in one for one in found) >= 18


def test_the_interval_of_the_auc_holds_the_truth_in_about_95_of_100_samples() -> None:
    found = [auc(*scores(100, 100, shift=0, seed=seed)) for seed in range(200)]
    assert 180 <= sum(0.5 in one for one in found) <= 198
