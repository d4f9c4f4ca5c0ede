"""Differences, intervals and corrections: as SciPy has them, and as Holm wrote them down."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from l2zoo.engine.record import Record, Unit
from l2zoo.stats.multiple import difference, holm
from l2zoo.studies.compare.result import Comparison, Standing, judged
from l2zoo.studies.compare.selection import best_strength, held_out_scores

GAINS = [0.02, 0.05, -0.01, 0.04, 0.03]


def test_where_only_seeds_differ_it_is_the_paired_t_test() -> None:
    found = difference(GAINS, overlap=0.0)
    test = stats.ttest_rel(GAINS, np.zeros(5))
    low, high = test.confidence_interval(0.95)
    assert found is not None
    assert found.mean == pytest.approx(0.026)
    assert (found.low, found.high, found.p) == pytest.approx((low, high, test.pvalue))


def test_folds_share_data_and_so_widen_the_interval() -> None:
    found = difference(GAINS, overlap=0.25)
    error = np.std(GAINS, ddof=1) * math.sqrt(1 / 5 + 1 / 4)  # Nadeau, Bengio 2003, with 5 folds
    half = stats.t.ppf(0.975, 4) * error
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.026 - half, 0.026 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(0.026 / error, 4))


def test_the_wide_interval_is_that_of_bonferroni() -> None:
    found = difference(GAINS, overlap=0.0, comparisons=6)
    half = stats.t.ppf(1 - 0.05 / 12, 4) * stats.sem(GAINS)
    assert found is not None
    assert (found.wide_low, found.wide_high) == pytest.approx((0.026 - half, 0.026 + half))


def test_equal_scores_are_no_difference_and_one_pair_is_none() -> None:
    found = difference([0.0, 0.0, 0.0], overlap=0.0)
    assert found is not None
    assert (found.mean, found.p) == (0.0, 1.0)
    assert difference([0.1], overlap=0.0) is None


def test_holm_multiplies_the_smallest_by_their_number_and_keeps_the_order() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 that is 0.02, 0.03, 0.06, 0.04 and 0.04 becomes 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def record(strength: float, fold: int, score: float | None) -> Record:
    done = {"score": score} if score is not None else {"status": "failed", "reason": "the loss became nan"}
    return Record(Unit(strength, fold, 0), **done)


def test_a_fold_is_scored_at_the_strength_that_the_others_choose() -> None:
    scores = {1.0: (0.9, 0.5, 0.5), 2.0: (0.5, 0.6, 0.6)}
    records = [record(s, fold, score) for s, each in scores.items() for fold, score in enumerate(each)]
    # Fold 0 gets the choice of folds 1 and 2, which is 2.0; the other two are misled by the 0.9 of fold 0.
    assert held_out_scores(records, mode="max") == {(0, 0): 0.5, (0, 1): 0.5, (0, 2): 0.5}
    assert best_strength(records, mode="max") == 1.0
    assert best_strength(records, mode="min") == 2.0
    assert best_strength([record(1.0, 0, None)], mode="max") is None


def test_a_single_strength_has_its_own_scores_without_what_failed() -> None:
    assert held_out_scores([record(0.0, 0, 0.5), record(0.0, 1, None)], mode="max") == {(0, 0): 0.5}


def comparison(**scores: list[float]) -> Comparison:
    standings = [
        Standing(name, {(seed, 0): score for seed, score in enumerate(each)}) for name, each in scores.items()
    ]
    found = judged(standings, baseline="none", folds=0)
    return Comparison(found, baseline="none", metric="val_accuracy", mode="max", seeds=4, folds=0)


def test_what_is_said_is_what_the_numbers_show() -> None:
    found = comparison(
        none=[0.70, 0.71, 0.69, 0.70],
        good=[0.80, 0.82, 0.79, 0.81],
        bad=[0.50, 0.51, 0.48, 0.51],
        same=[0.71, 0.70, 0.70, 0.69],
        lost=[0.9],
    )
    said = found.may_be_said
    assert "better good +0.105 (" in said
    assert "worse bad -0.200 (" in said
    assert "The difference of same cannot be told from chance." in said
    assert "Too few trainings of lost finished to compare." in said
    assert "each is compared with none alone" in found.may_not_be_said
    assert "with other training images" in found.may_not_be_said
    # Three were compared, of which the largest p stays what it was.
    p = {name: found[name].difference.p for name in ("good", "bad", "same")}
    assert found["same"].p_holm == pytest.approx(p["same"])
    assert found["good"].p_holm == pytest.approx(max(2 * p["good"], min(3 * p["bad"], 1)))
