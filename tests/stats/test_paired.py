"""Intervals, p and corrections as SciPy and Holm have them; the held-out gains by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from l2zoo.stats.paired import (
    corrected_interval,
    crossed_difference,
    difference,
    held_out_gains,
    holm,
    shared_part,
    smooth,
    step_of,
    steps_of,
    trainings_for,
)

no_deadline = settings(
    deadline=None, max_examples=50
)  # the first example imports SciPy, and machines are busy

BASELINE = np.array([0.81, 0.85, 0.79, 0.90, 0.84, 0.86])
CHANGED = np.array([0.84, 0.86, 0.85, 0.91, 0.90, 0.88])


def test_without_its_correction_the_interval_is_that_of_the_paired_t_test() -> None:
    # Very many folds: n_test / n_train goes to 0 and with it the correction.
    ours = corrected_interval(CHANGED - BASELINE, overlap=1e-12)
    theirs = stats.ttest_rel(CHANGED, BASELINE).confidence_interval(0.95)
    assert ours == pytest.approx((np.mean(CHANGED - BASELINE), theirs.low, theirs.high), rel=1e-9)


def test_the_correction_widens_it_by_the_factor_of_nadeau_and_bengio() -> None:
    # 6 gains from 3 folds: sqrt((1/6 + 1/2) / (1/6)) = 2.
    _, low, high = corrected_interval(CHANGED - BASELINE, overlap=1 / 2)
    theirs = stats.ttest_rel(CHANGED, BASELINE).confidence_interval(0.95)
    assert high - low == pytest.approx(2 * (theirs.high - theirs.low), rel=1e-12)


def test_a_corrected_interval_by_hand() -> None:
    # Gains 1, 2, 3: mean 2, s = 1; 3 folds: sqrt(1/3 + 1/2) = 0.912871; t(0.975, 2) = 4.302653 from a table.
    assert corrected_interval(np.array([1.0, 2.0, 3.0]), overlap=1 / 2) == pytest.approx(
        (2.0, 2 - 3.927765, 2 + 3.927765), abs=1e-5
    )


def test_equal_gains_from_counted_scores_still_have_their_rounding_error() -> None:
    # Two folds of 60 images, one more right in each: chance does that often, so it proves nothing.
    step = 1 / 60
    _, low, high = corrected_interval(np.array([step, step]), overlap=1.0, rounding=step)
    half = 12.7062047 * math.sqrt(step**2 / 6 * (1 / 2 + 1))  # t(0.975, 1) from a table
    assert (low, high) == pytest.approx((step - half, step + half), rel=1e-8)


@pytest.mark.parametrize("gains", [[0.1], []])
def test_too_little_for_an_interval_is_an_error(gains: list[float]) -> None:
    with pytest.raises(ValueError, match="needs at least 2 gains"):
        corrected_interval(np.array(gains), overlap=0.25)


@pytest.mark.parametrize("count", [7, 60, 61, 360, 1999])
@pytest.mark.parametrize("kind", [float, np.float32])
def test_a_step_of_scores_that_count_is_one_image(count: int, kind: type) -> None:
    right = [count - 1, count - 2, count // 2, 0]
    assert step_of([float(kind(some / count)) for some in right]) == pytest.approx(1 / count, rel=1e-6)


def test_losses_have_no_step() -> None:
    losses = np.random.default_rng(0).normal(size=(500, 2)) ** 2
    assert sum(step_of(pair) > 0 for pair in losses) <= 1  # two numbers may be near shares by chance
    assert step_of([0.5]) == step_of([]) == 0.0


def test_each_fold_has_its_own_step_and_one_of_equal_scores_the_largest() -> None:
    found = steps_of({(0, 0): [54 / 60, 55 / 60], (0, 1): [55 / 61, 56 / 61], (0, 2): [0.5, 0.5]})
    assert found == pytest.approx({(0, 0): 1 / 60, (0, 1): 1 / 61, (0, 2): 1 / 60})


def test_a_mean_is_taken_with_its_neighbours() -> None:
    assert smooth(np.array([0.0, 3.0, 0.0, 0.0, 6.0])).tolist() == pytest.approx([1, 1, 1, 2, 4])
    assert smooth(np.array([2.0])).tolist() == [2.0]
    many = np.arange(24.0)  # three on each side
    assert smooth(many)[3:-3].tolist() == pytest.approx(many[3:-3].tolist())


def test_a_lucky_strength_is_not_chosen_before_a_good_region() -> None:
    gains = np.tile([0.03, -0.02, -0.01], (8, 1))
    gains[1] += 0.030
    gains[4:7] += 0.025
    held = held_out_gains(gains, [(0, 0), (0, 1), (0, 2)])
    assert held.tolist() == pytest.approx((gains[5]).tolist())


def test_one_beside_which_nothing_is_learnt_is_chosen_all_the_same() -> None:
    gains = np.add.outer([0.0, 0.0, 0.01, 0.02, -0.6, -0.7], [0.01, -0.02, 0.01])
    assert held_out_gains(gains, [(0, 0), (0, 1), (0, 2)]).tolist() == gains[3].tolist()


def test_gains_of_folds_are_taken_to_agree_by_a_fifth_at_least() -> None:
    assert [shared_part(1 / (folds - 1)) for folds in (2, 3, 5, 6, 10)] == [1, 0.5, 0.28, 0.28, 0.28]
    assert [shared_part(1 / (folds - 1), winner_of=10) for folds in (2, 3)] == [1, 0.5]
    assert shared_part(1 / 4, winner_of=10) == pytest.approx(0.28 + 0.08 * np.log(10))
    assert shared_part(1 / 4, winner_of=10, looks=3) == pytest.approx(0.28 + 0.04 * np.log(10))
    assert shared_part(1 / 4, winner_of=1) == shared_part(1 / 4, looks=3) == 0.28


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


ANY_GAINS = hnp.arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(2, 8)),
    elements=st.integers(-64, 64).map(lambda k: k / 64),
)


@no_deadline
@given(ANY_GAINS)
def test_held_out_gains_are_gains_of_their_own_fold(gains: np.ndarray) -> None:
    held = held_out_gains(gains, [(0, fold) for fold in range(gains.shape[1])])
    assert all(gain in column for gain, column in zip(held, gains.T, strict=True))


@no_deadline
@given(hnp.arrays(float, 7, elements=st.floats(-1, 1)))
def test_one_strength_alone_is_measured_as_it_is(gains: np.ndarray) -> None:
    assert held_out_gains(gains[None], [(0, fold) for fold in range(7)]).tolist() == gains.tolist()


# ---- Differences to a baseline

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


# ---- Trainings on the same test images


def test_without_other_images_it_is_the_t_test_over_trainings() -> None:
    gains = np.repeat(np.array(GAINS)[:, None], 30, axis=1)  # every image says the same
    found = crossed_difference(gains)
    low, high = stats.ttest_1samp(GAINS, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.p == pytest.approx(stats.ttest_1samp(GAINS, 0).pvalue, rel=1e-9)


def test_without_other_trainings_it_is_the_t_test_over_images() -> None:
    images = np.random.default_rng(0).normal(0.1, 1, 40)
    found = crossed_difference(np.tile(images, (6, 1)))
    low, high = stats.ttest_1samp(images, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_its_variance_is_that_of_the_means_over_both() -> None:
    gains = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]])
    # Over the images 2 and 5: variance 4.5, by 2. Over the trainings 2, 3, 5.5: variance 3.25, by 3.
    first, second = 4.5 / 2, 3.25 / 3
    freedom = (first + second) ** 2 / (first**2 / 1 + second**2 / 2)
    found = crossed_difference(gains)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(first + second)
    assert (found.mean, found.high - found.mean) == pytest.approx((3.5, half), rel=1e-9)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_a_single_training_or_image_has_no_interval(shape: tuple[int, int]) -> None:
    assert crossed_difference(np.ones(shape)) is None


def test_its_interval_covers_where_trainings_and_images_are_a_sample() -> None:
    # 360 images of which two variants answer 3 % otherwise, equal in truth, in 5 trainings.
    rng, covered, before = np.random.default_rng(0), 0, 0
    for _ in range(400):
        image = np.where(rng.random(360) < 0.03, rng.choice([-1.0, 1.0], 360), 0.0)
        gains = image * (rng.random((5, 360)) < 0.5)
        parts = np.stack([part.mean(axis=1) for part in np.array_split(gains, 50, axis=1)], axis=1)
        found = crossed_difference(parts, rounding=1 / 360)
        seeds = difference(gains.mean(axis=1), overlap=0.0)
        covered += found.low <= 0 <= found.high
        before += seeds.low <= 0 <= seeds.high
    assert covered >= 0.94 * 400
    assert before <= 0.75 * 400  # as if the images were no sample


# ---- How many it takes


def test_so_many_trainings_tell_an_effect_in_four_of_five_samples() -> None:
    count = int(trainings_for(0.02, deviation=0.03, overlap=0.0))
    rng = np.random.default_rng(0)
    told = [difference(rng.normal(0.02, 0.03, count), overlap=0.0).low > 0 for _ in range(1000)]
    assert 0.77 <= np.mean(told) <= 0.86
    fewer = [difference(rng.normal(0.02, 0.03, count // 2), overlap=0.0).low > 0 for _ in range(1000)]
    assert np.mean(fewer) < 0.6


def test_folds_of_the_same_data_never_tell_a_small_effect() -> None:
    # In the limit (1.959964 + 0.841621) * 0.02 * sqrt(0.25) = 0.028016.
    assert trainings_for(0.0280, deviation=0.02, overlap=0.25) == math.inf
    assert trainings_for(0.0281, deviation=0.02, overlap=0.25) < math.inf
