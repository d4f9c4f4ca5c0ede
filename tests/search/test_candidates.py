"""The two choices of glmnet, by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2zoo.engine.record import Record, Unit
from l2zoo.reports.numbers import format_strength
from l2zoo.search.candidates import Candidate, best, eligible, gather, one_se

no_deadline = settings(deadline=None)  # the first example imports SciPy, and machines are busy

REASON = "the loss became NaN"


def record(strength: float, fold: int, score: float | None, seed: int = 0) -> Record:
    unit = Unit(strength, fold, seed)
    return Record(unit, score=score) if score is not None else Record(unit, status="failed", reason=REASON)


def grid(scores: dict[float, list[float | None]]) -> list[Candidate]:
    return gather(record(s, fold, x) for s, row in scores.items() for fold, x in enumerate(row))


def test_mean_and_standard_error_are_those_of_numpy() -> None:
    scores = [0.81, 0.85, 0.79, 0.9, 0.84]
    candidate = grid({0.1: scores})[0]
    assert candidate.mean == pytest.approx(np.mean(scores), rel=1e-14)
    assert candidate.standard_error == pytest.approx(np.std(scores, ddof=1) / np.sqrt(5), rel=1e-14)
    assert (candidate.n, len(candidate.failed)) == (5, 0)


def test_scores_come_in_order_of_seed_and_fold_and_doubles_count_once() -> None:
    records = [record(0.1, fold, 10 * seed + fold, seed) for seed in (1, 0) for fold in (2, 0, 1)]
    candidate = gather([*records, record(0.1, 0, 99.0, 1)])[0]
    assert list(candidate.scores.items()) == [
        ((0, 0), 0),
        ((0, 1), 1),
        ((0, 2), 2),
        ((1, 0), 10),
        ((1, 1), 11),
        ((1, 2), 12),
    ]


def test_without_two_scores_there_is_no_standard_error() -> None:
    none, one = grid({0.1: [None, None], 0.2: [0.5]})
    assert math.isnan(none.mean)
    assert math.isnan(none.standard_error)
    assert one.mean == 0.5
    assert math.isnan(one.standard_error)
    assert one_se([one, *grid({0.3: [0.5 - 1e-6]})]).strength == 0.2


def test_one_standard_error_as_glmnet_defines_it() -> None:
    # Errors over four folds. Means 0.30, 0.21, 0.20, 0.23, 0.40 for rising strength; the standard error at
    # the minimum (0.01) is sqrt((0.04^2 + 0.02^2 + 0.02^2 + 0.04^2) / 3 / 4) = 0.018257, so up to 0.218257.
    errors = {
        0.0: [0.30, 0.30, 0.30, 0.30],
        0.001: [0.21, 0.21, 0.21, 0.21],
        0.01: [0.16, 0.18, 0.22, 0.24],
        0.03: [0.23, 0.23, 0.23, 0.23],
        0.1: [0.40, 0.40, 0.40, 0.40],
    }
    candidates = grid(errors)
    assert best(candidates, mode="min").strength == 0.01
    assert best(candidates, mode="min").standard_error == pytest.approx(0.018257, abs=1e-6)
    assert one_se(candidates, mode="min").strength == 0.01
    errors[0.03] = [0.218] * 4
    assert one_se(grid(errors), mode="min").strength == 0.03
    # A score that is the error turned round chooses the same.
    turned = grid({s: [1 - x for x in row] for s, row in errors.items()})
    assert (best(turned).strength, one_se(turned).strength) == (0.01, 0.03)


def test_a_strength_beyond_a_gap_still_counts_as_within_one_standard_error() -> None:
    # glmnet takes the largest strength within the margin, also where one between is outside.
    scores = {0.0: [0.8, 1.0], 0.1: [0.5, 0.5], 1.0: [0.85, 0.85]}
    assert one_se(grid(scores)).strength == 1.0


def test_equal_means_go_to_the_larger_strength() -> None:
    assert best(grid({0.0: [0.5, 0.7], 0.1: [0.6, 0.6], 1.0: [0.1, 0.2]})).strength == 0.1
    assert best(grid({0.1: [0.1, 0.2, 0.3], 1.0: [0.3, 0.2, 0.1]}), mode="min").strength == 1.0


def test_a_strength_with_a_failed_training_is_not_chosen() -> None:
    candidates = grid({0.0: [0.5, 0.5], 0.1: [0.6, 0.6], 1.0: [0.9, None]})
    assert (best(candidates).strength, one_se(candidates).strength) == (0.1, 0.1)


def test_unless_every_strength_has_one_then_the_fewest_count() -> None:
    candidates = grid({0.0: [0.5, None, None], 0.1: [0.6, 0.6, None], 1.0: [None, 0.7, 0.7], 2.0: [None] * 3})
    assert [c.strength for c in eligible(candidates)] == [0.1, 1.0]
    assert best(candidates).strength == 1.0


def test_a_strength_that_is_not_through_is_not_chosen_before_one_that_is() -> None:
    assert best(grid({0.0: [0.5, 0.5, 0.5], 0.1: [0.9]})).strength == 0.0


def test_nothing_finished_is_an_error_with_the_reason() -> None:
    with pytest.raises(ValueError, match="all 2 failed, the first because the loss became NaN"):
        best(grid({0.0: [None], 0.1: [None]}))
    with pytest.raises(ValueError, match="of the trainings, there are none"):
        one_se([])


def test_another_mode_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"`mode` must be 'max' \(accuracy\) or 'min' \(loss\), got mode='up'"
    ):
        best(grid({0.0: [0.5]}), mode="up")


# Scores on a grid of 1/64 add up without rounding, so laws hold to the bit.
ROWS = st.integers(1, 5).flatmap(
    lambda folds: st.lists(
        st.lists(st.integers(0, 64).map(lambda k: k / 64), min_size=folds, max_size=folds),
        min_size=1,
        max_size=6,
    )
)
MODES = st.sampled_from(["max", "min"])


def search(rows: list[list[float]]) -> list[Record]:
    strengths = [0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0]
    return [record(s, f, x) for s, row in zip(strengths, rows, strict=False) for f, x in enumerate(row)]


@no_deadline
@given(ROWS, MODES)
def test_one_se_is_never_weaker_than_the_best(rows: list[list[float]], mode: str) -> None:
    candidates = gather(search(rows))
    chosen, strong = best(candidates, mode=mode), one_se(candidates, mode=mode)
    assert strong.strength >= chosen.strength
    if chosen.n > 1:
        assert abs(strong.mean - chosen.mean) <= chosen.standard_error + 1e-12
    assert chosen.strength == max(c.strength for c in candidates if c.mean == chosen.mean)


@no_deadline
@given(ROWS, MODES, st.randoms(use_true_random=False))
def test_the_order_of_records_makes_no_difference(rows: list[list[float]], mode: str, random) -> None:
    records = search(rows)
    before = gather(records)
    random.shuffle(records)
    after = gather(records)
    assert before == after
    random.shuffle(after)
    assert best(after, mode=mode) == best(before, mode=mode)
    assert one_se(after, mode=mode) == one_se(before, mode=mode)


@no_deadline
@given(ROWS, MODES, st.sampled_from([-8.0, -1.0, 0.5, 3.0, 16.0, 1024.0]))
def test_adding_a_constant_chooses_the_same(rows: list[list[float]], mode: str, constant: float) -> None:
    before = gather(search(rows))
    after = gather(search([[x + constant for x in row] for row in rows]))
    assert best(after, mode=mode).strength == best(before, mode=mode).strength
    assert one_se(after, mode=mode).strength == one_se(before, mode=mode).strength


@no_deadline
@given(st.floats(-100, 100), st.integers(1, 6), st.integers(1, 5), MODES)
def test_a_constant_score_takes_the_largest_strength(score: float, k: int, folds: int, mode: str) -> None:
    candidates = gather(search([[score] * folds] * k))
    assert best(candidates, mode=mode) is candidates[-1]
    assert one_se(candidates, mode=mode) is candidates[-1]


@no_deadline
@given(st.floats(1e-12, 1e6))
def test_a_spelled_strength_reads_back_to_three_digits(strength: float) -> None:
    assert float(format_strength(strength)) == pytest.approx(strength, rel=0.006)
