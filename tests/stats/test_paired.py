"""The interval against SciPy and by hand; the held-out gains by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from l2zoo.stats.paired import corrected_interval, held_out_gains, rounding_of

no_deadline = settings(deadline=None)  # the first example imports SciPy, and machines are busy

BASELINE = np.array([0.81, 0.85, 0.79, 0.90, 0.84, 0.86])
CHANGED = np.array([0.84, 0.86, 0.85, 0.91, 0.90, 0.88])


def test_without_its_correction_the_interval_is_that_of_the_paired_t_test() -> None:
    # Very many folds: n_test / n_train goes to 0 and with it the correction.
    ours = corrected_interval(CHANGED - BASELINE, folds=10**12)
    theirs = stats.ttest_rel(CHANGED, BASELINE).confidence_interval(0.95)
    assert ours == pytest.approx((np.mean(CHANGED - BASELINE), theirs.low, theirs.high), rel=1e-9)


def test_the_correction_widens_it_by_the_factor_of_nadeau_and_bengio() -> None:
    # 6 gains from 3 folds: sqrt((1/6 + 1/2) / (1/6)) = 2.
    _, low, high = corrected_interval(CHANGED - BASELINE, folds=3)
    theirs = stats.ttest_rel(CHANGED, BASELINE).confidence_interval(0.95)
    assert high - low == pytest.approx(2 * (theirs.high - theirs.low), rel=1e-12)


def test_a_corrected_interval_by_hand() -> None:
    # Gains 1, 2, 3: mean 2, s = 1; 3 folds: sqrt(1/3 + 1/2) = 0.912871; t(0.975, 2) = 4.302653 from a table.
    assert corrected_interval(np.array([1.0, 2.0, 3.0]), folds=3) == pytest.approx(
        (2.0, 2 - 3.927765, 2 + 3.927765), abs=1e-5
    )


def test_equal_gains_from_counted_scores_still_have_their_rounding_error() -> None:
    # Two folds of 60 images, one more right in each: chance does that often, so it proves nothing.
    step = 1 / 60
    _, low, high = corrected_interval(np.array([step, step]), folds=2, rounding=step)
    half = 12.7062047 * math.sqrt(step**2 / 6 * (1 / 2 + 1))  # t(0.975, 1) from a table
    assert (low, high) == pytest.approx((step - half, step + half), rel=1e-8)


@pytest.mark.parametrize(("gains", "folds"), [([0.1], 5), ([], 5), ([0.1, 0.2], 1)])
def test_too_little_for_an_interval_is_an_error(gains: list[float], folds: int) -> None:
    with pytest.raises(ValueError, match="needs at least 2 gains and 2 folds"):
        corrected_interval(np.array(gains), folds=folds)


def test_rounding_is_the_smallest_step_between_scores() -> None:
    assert rounding_of([0.9, 0.8, 0.85, 0.9, 0.1 + 0.7]) == pytest.approx(0.05)
    assert rounding_of([0.9, 0.9]) == 0.0


def test_each_fold_is_measured_at_the_strength_that_the_others_choose() -> None:
    gains = np.array([[0.0, 0.1, 0.3], [0.2, 0.0, 0.0]])
    # Without fold 0: means 0.2 and 0.0, the first is chosen, which gains 0.0 on fold 0. Without fold 1: 0.15
    # and 0.1, the first, 0.1. Without fold 2: 0.05 and 0.1, the second, 0.0.
    assert held_out_gains(gains, [(0, 0), (0, 1), (0, 2)]).tolist() == [0.0, 0.1, 0.0]


def test_seeds_choose_apart() -> None:
    gains = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 3.0]])
    units = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert held_out_gains(gains, units).tolist() == [1.0, 1.0, 2.0, 3.0]


def test_of_equal_strengths_the_larger_is_chosen() -> None:
    gains = np.array([[0.0, 1.0], [2.0, 1.0]])
    assert held_out_gains(gains, [(0, 0), (0, 1)])[0] == 2.0


def test_trainings_that_failed_neither_choose_nor_count() -> None:
    nan = math.nan
    gains = np.array([[0.1, nan, 0.1], [nan, 0.5, 0.5]])
    # On fold 0 only the first finished; on fold 1 only the second, chosen by fold 2; on fold 2 the second,
    # by fold 1.
    assert held_out_gains(gains, [(0, 0), (0, 1), (0, 2)]).tolist() == [0.1, 0.5, 0.5]
    assert np.isnan(held_out_gains(gains[:, :1], [(0, 0)])).all()


GAINS = hnp.arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(2, 8)),
    elements=st.integers(-64, 64).map(lambda k: k / 64),
)


@no_deadline
@given(GAINS)
def test_held_out_gains_never_flatter_more_than_the_best(gains: np.ndarray) -> None:
    held = held_out_gains(gains, [(0, fold) for fold in range(gains.shape[1])])
    assert len(held) == gains.shape[1]
    assert held.mean() <= gains.mean(axis=1).max() + 1e-12


@no_deadline
@given(hnp.arrays(float, 7, elements=st.floats(-1, 1)))
def test_one_strength_alone_is_measured_as_it_is(gains: np.ndarray) -> None:
    assert held_out_gains(gains[None], [(0, fold) for fold in range(7)]).tolist() == gains.tolist()
