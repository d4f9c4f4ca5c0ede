"""Whether L2 helps: sentences by hand, laws, and how often the verdict is wrong when the truth is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from l2zoo.engine.record import Record, Unit
from l2zoo.search.candidates import Candidate, gather
from l2zoo.search.verdict import verdict_of
from l2zoo.stats.paired import trainings_for

no_deadline = settings(deadline=None)  # the first example imports SciPy, and machines are busy

ZERO = [0.85, 0.87, 0.84, 0.86, 0.855]


def record(strength: float, fold: int, score: float | None, seed: int = 0) -> Record:
    unit = Unit(strength, fold, seed)
    return (
        Record(unit, score=score) if score is not None else Record(unit, status="failed", reason="it broke")
    )


def grid(scores: dict[float, Sequence[float | None]], *, folds: int | None = None) -> list[Candidate]:
    """Candidates from a row of scores each: folds of seed 0, then folds of seed 1, and so on."""
    return gather(
        record(s, i % (folds or len(row)), x, i // (folds or len(row)))
        for s, row in scores.items()
        for i, x in enumerate(row)
    )


def plus(*gains: float) -> list[float]:
    return [a + b for a, b in zip(ZERO, gains, strict=True)]


def test_l2_helps_by_hand() -> None:
    # Gains 3, 4, 3, 4, 3.5 points: mean 3.5, s = 0.5, sqrt(1/5 + 0.28) = 0.692820, t(0.975, 4) = 2.776445:
    # half = 0.961788 points.
    verdict = verdict_of(
        grid({0.0: ZERO, 0.01: plus(0.03, 0.04, 0.03, 0.04, 0.035), 0.1: [0.2] * 5}), metric="val_accuracy"
    )
    assert str(verdict) == (
        "L2 helps here: at 0.01 accuracy rises from 0.855 to 0.890 "
        "(+0.035, 95 % interval +0.025 to +0.045, 5 paired trainings)."
    )
    assert (verdict.outcome, verdict.strength, verdict.pairs) == ("helps", 0.01, 5)
    assert (verdict.low, verdict.high) == pytest.approx((0.035 - 0.00961788, 0.035 + 0.00961788), abs=1e-7)
    assert (verdict.gain, verdict.difference) == pytest.approx((0.035, 0.035))


def test_a_loss_that_falls_helps() -> None:
    scores = {0.0: ZERO, 0.01: plus(-0.3, -0.4, -0.3, -0.4, -0.35)}
    verdict = verdict_of(grid(scores), mode="min", metric="val_data_loss")
    assert str(verdict) == (
        "L2 helps here: at 0.01 data loss falls from 0.855 to 0.505 "
        "(-0.350, 95 % interval -0.446 to -0.254, 5 paired trainings)."
    )
    assert verdict.low < verdict.high < 0


def test_l2_hurts_already_at_the_smallest_strength() -> None:
    down = plus(-0.3, -0.4, -0.3, -0.4, -0.35)
    verdict = verdict_of(grid({0.0: ZERO, 0.01: down, 0.1: [0.1] * 5}), metric="accuracy")
    assert verdict.outcome == "hurts"
    assert str(verdict) == (
        "L2 hurts here: already at the smallest strength tried, 0.01, accuracy falls from 0.855 to 0.505 "
        "(-0.350, 95 % interval -0.446 to -0.254, 5 paired trainings)."
    )
    other = verdict_of(grid({0.0: ZERO, 0.01: [0.1] * 5, 0.1: down}), metric="accuracy")
    assert "L2 hurts here: even at the best strength above 0, 0.1, accuracy falls" in str(other)


def test_what_cannot_be_told_is_said_with_the_honest_gain_where_it_differs() -> None:
    verdict = verdict_of(grid({0.0: ZERO, 1e-4: plus(0.02, -0.01, 0.01, -0.02, 0.005)}), metric="accuracy")
    assert verdict.outcome == "unclear"
    assert str(verdict) == (
        "Whether L2 helps here cannot be told: the best strength above 0, 1e-4, differs from none by +0.001 "
        "in accuracy (95 % interval -0.030 to +0.032, 5 paired trainings)."
    )
    # The folds disagree: fold 0 is taken at 0.1 (which the others choose), the others at 1e-4.
    split = verdict_of(grid({0.0: [0.5] * 3, 1e-4: [0.9, 0.5, 0.5], 0.1: [0.4, 0.6, 0.6]}), metric="accuracy")
    assert (split.difference, split.gain) == pytest.approx((0.4 / 3, -0.1 / 3))
    said = "by -0.033 in accuracy where the other folds choose the strength (95 % interval"
    assert said in str(split)


def test_of_equal_scores_nothing_can_be_told() -> None:
    verdict = verdict_of(grid({0.0: ZERO, 1e-4: ZERO, 0.1: ZERO}), metric="accuracy")
    assert verdict.outcome == "all equal"
    assert str(verdict) == (
        "Whether L2 helps here cannot be told: all scores are equal, every strength's to those of none, in 5 "
        "paired trainings."
    )


def test_what_was_left_out_is_named() -> None:
    verdict = verdict_of(grid({0.0: [0.5, 0.5], 1e-4: [0.5, 0.5], 0.1: [0.9, None]}), metric="accuracy")
    assert (verdict.outcome, verdict.left_out) == ("all equal", (0.1,))
    assert str(verdict).endswith("in 2 paired trainings. Left out, as trainings failed: 0.1.")


def test_the_strength_that_is_named_earned_the_interval() -> None:
    scores = {
        0.0: [None, 0.5, 0.5, 0.5, 0.5],
        0.01: [0.9, 0.51, 0.5, 0.52, 0.5],
        0.1: [0.2, 0.6, 0.61, 0.6, 0.62],
    }
    verdict = verdict_of(grid(scores), metric="accuracy")
    assert (verdict.outcome, verdict.strength) == ("helps", 0.1)
    assert verdict.score == pytest.approx(np.mean(scores[0.1][1:]))


def test_of_many_strengths_a_gain_has_at_least_the_mean_of_its_own_and_the_usual_variance() -> None:
    # Gains of 1 to 5 with a deviation of 1 or 2 over 4 folds; the last, which all choose, has one of 0.1.
    spread = np.array([-1.0, 1.0, -1.0, 1.0]) * math.sqrt(3 / 4)  # of which the deviation is 1
    gains = {
        s: mean + spread * size for s, mean, size in zip(GRID[1:6], range(5), (1, 1, 1, 2, 0.1), strict=True)
    }
    verdict = verdict_of(grid({0.0: [0.0] * 4, **{s: row.tolist() for s, row in gains.items()}}))
    variance = (0.01 + 1) / 2  # the median of 1, 1, 1, 4 and 0.01 is 1
    half = stats.t.ppf(0.975, 2 * 3) * math.sqrt(variance * (1 / 4 + 1 / 3))
    assert (verdict.gain, verdict.high - verdict.gain) == pytest.approx((4, half))


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ({0.0: ZERO}, "no strength above 0 was tried."),
        (
            {0.0: ZERO, 0.1: [None] * 5},
            "every training at a strength above 0 failed, the first because it broke.",
        ),
        ({0.1: ZERO}, "strength 0 was not tried."),
        ({0.0: [0.8], 0.1: [0.9]}, "one training per strength has no standard error; use more folds."),
        (
            {0.0: [0.8, None], 0.1: [0.9, 0.9]},
            "one training per strength has no standard error; use more folds.",
        ),
        (
            {0.0: [None, None], 0.1: [0.9, 0.8]},
            "all 2 trainings at strength 0 failed, the first because it broke; the best strength, 0.1, "
            "reaches accuracy 0.850.",
        ),
    ],
)
def test_what_stands_in_the_way_of_a_comparison_is_said(scores: dict, sentence: str) -> None:
    verdict = verdict_of(grid(scores), metric="accuracy")
    assert (verdict.outcome, verdict.strength) == ("unclear", None)
    assert str(verdict) == f"Whether L2 helps here cannot be told: {sentence}"
    assert math.isnan(verdict.low)


def test_seeds_over_one_fold_are_not_enough() -> None:
    verdict = verdict_of(grid({0.0: [0.8, 0.81, 0.79], 0.1: [0.9, 0.91, 0.92]}, folds=1))
    assert str(verdict).endswith("two folds that finished at strength 0 and at another; use more folds.")


def test_failed_trainings_at_0_are_named_and_left_out() -> None:
    verdict = verdict_of(
        grid({0.0: [None, *ZERO[1:]], 0.01: [0.1, 0.91, 0.88, 0.9, 0.895]}), metric="accuracy"
    )
    assert verdict.outcome == "helps"
    assert verdict.pairs == 4
    assert "4 paired trainings; 1 at strength 0 failed)" in str(verdict)
    assert verdict.score == pytest.approx(np.mean([0.91, 0.88, 0.9, 0.895]))


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_more_right_image_in_each_of_two_folds_proves_nothing(seeds: int) -> None:
    verdict = verdict_of(grid({0.0: [54 / 60] * 2 * seeds, 0.1: [55 / 60] * 2 * seeds}, folds=2))
    assert verdict.outcome == "unclear"


def test_a_verdict_says_how_many_more_trainings_an_effect_needs() -> None:
    verdict = verdict_of(grid({0.0: ZERO, 1e-4: plus(0.02, -0.01, 0.01, -0.02, 0.005)}), metric="accuracy")
    assert verdict.deviation == pytest.approx(np.std([0.02, -0.01, 0.01, -0.02, 0.005], ddof=1))
    wanted = trainings_for(0.03, deviation=verdict.deviation, overlap=0.28)
    assert verdict.needed(0.03) == wanted - 5 > 0
    assert verdict.needed(0.5) == 0
    assert verdict.needed(0.001) == verdict_of(grid({0.0: ZERO})).needed(0.03) == math.inf
    with pytest.raises(ValueError, match="`effect` must be above 0"):
        verdict.needed(0.0)


def test_a_step_is_that_of_its_fold() -> None:
    verdict = verdict_of(grid({0.0: [54 / 60, 55 / 61], 0.1: [55 / 60, 56 / 61]}))
    assert verdict.outcome == "unclear"


def test_a_strength_that_shares_no_fold_with_0_is_not_compared() -> None:
    scores = {0.0: [0.8, 0.81, 0.82, None], 0.1: [0.9, 0.91, None, 0.9], 1.0: [None, None, None, 0.99]}
    assert verdict_of(grid(scores)).strength == 0.1
    only = verdict_of(grid({0.0: [0.8, 0.81, None, None], 0.1: [None, None, 0.9, 0.9]}))
    assert str(only).endswith(
        "it takes at least two folds that finished at strength 0 and at another; use more folds."
    )


ROWS = st.lists(
    st.lists(st.integers(0, 64).map(lambda k: k / 64), min_size=6, max_size=6), min_size=2, max_size=5
)
STRENGTHS = [0.0, 1e-4, 1e-3, 1e-2, 0.1]


def rows(scores: Sequence[Sequence[float]], order: Sequence[int] | None = None) -> list[Candidate]:
    return grid(dict(zip(STRENGTHS, scores, strict=False)), folds=3)


@no_deadline
@given(ROWS, st.sampled_from([-8.0, 1.0, 1024.0]), st.sampled_from(["max", "min"]))
def test_adding_a_constant_changes_no_verdict(scores: list, constant: float, mode: str) -> None:
    before = verdict_of(rows(scores), mode=mode)
    after = verdict_of(rows([[x + constant for x in row] for row in scores]), mode=mode)
    assert (after.outcome, after.strength) == (before.outcome, before.strength)
    assert (after.low, after.high) == pytest.approx((before.low, before.high), rel=1e-6, abs=1e-9)


@no_deadline
@given(ROWS)
def test_turning_the_score_round_turns_nothing_else(scores: list) -> None:
    before = verdict_of(rows(scores), mode="max")
    after = verdict_of(rows([[-x for x in row] for row in scores]), mode="min")
    assert (after.outcome, after.strength) == (before.outcome, before.strength)
    assert (after.low, after.high) == pytest.approx((-before.high, -before.low))


@no_deadline
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(scores: list, random) -> None:
    candidates = rows(scores)
    before = verdict_of(candidates)
    random.shuffle(candidates)
    assert verdict_of(candidates) == before


@no_deadline
@given(ROWS)
def test_the_outcome_is_what_the_interval_says(scores: list) -> None:
    verdict = verdict_of(rows(scores))
    if verdict.outcome == "helps":
        assert 0 < verdict.low <= verdict.gain <= verdict.high
    elif verdict.outcome == "hurts":
        assert verdict.low <= verdict.gain <= verdict.high < 0
    assert str(verdict).count(". ") == 0  # one sentence
    assert str(verdict).endswith(".")


GRID = np.array([0.0, *np.logspace(-6, -1, 11)])


def simulated(
    rng: np.random.Generator, *, seeds: int, effect: np.ndarray, agreement: float
) -> list[Candidate]:
    """A search of 12 strengths on 5 folds of 60 images; paired differences have a deviation of 0.02.

    Neighbouring strengths err alike and the smallest nearly as strength 0 does. `agreement` is the part of
    the variance that all folds share because their training data overlap.
    """
    place = np.array([-7.5, *np.log10(GRID[1:])])
    alike = np.exp(-0.5 * ((place[:, None] - place) / 0.7) ** 2) + 1e-9 * np.eye(12)
    root = np.linalg.cholesky(alike).T * 0.02 / math.sqrt(2)
    noise = math.sqrt(agreement) * rng.standard_normal((1, 1, 12)) @ root
    noise = noise + math.sqrt(1 - agreement) * rng.standard_normal((5, seeds, 12)) @ root
    level = 0.86 + 0.03 * rng.standard_normal((5, seeds, 1))
    scores = np.round(np.clip(level + effect + noise, 0, 1) * 60) / 60
    return grid({float(s): scores[..., i].T.ravel().tolist() for i, s in enumerate(GRID)}, folds=5)


def outcomes(*, effect: np.ndarray, seeds: int = 2, agreement: float = 0.0, searches: int = 300) -> Counter:
    rng = np.random.default_rng(0)
    searched = (simulated(rng, seeds=seeds, effect=effect, agreement=agreement) for _ in range(searches))
    return Counter(verdict_of(candidates, metric="accuracy").outcome for candidates in searched)


@pytest.mark.parametrize("seeds", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("agreement", [0.0, 0.1])
def test_where_l2_does_nothing_helps_and_hurts_are_rare(seeds: int, agreement: float) -> None:
    # The bound is 5 %; benchmarks/evidence_rates.py has the rates.
    found = outcomes(effect=np.zeros(12), seeds=seeds, agreement=agreement)
    assert found["helps"] <= 0.05 * 300
    assert found["hurts"] <= 0.05 * 300


def test_where_l2_gains_three_points_it_usually_says_so() -> None:
    # Of 1000 with 5 folds and 2 seeds: 746. The effect is that of noisy labels, collapse included.
    effect = np.array([0, 0, 0, 0, 0, 0, 0.003, 0.007, 0.02, 0.033, -0.65, -0.7])
    found = outcomes(effect=effect)
    assert found["helps"] >= 0.65 * 300
    assert found["hurts"] == 0


@pytest.mark.slow
def test_where_every_strength_costs_three_points_it_usually_says_so() -> None:
    found = outcomes(effect=np.array([0.0, *[-0.033] * 11]))  # of 1000: 751
    assert found["hurts"] >= 0.65 * 300
    assert found["helps"] == 0


def test_the_interval_uses_the_sizes_of_the_folds_and_no_seed_that_divides_the_same_way_again():
    """Held-out over training rows, 1 in the first fold of a time series, widens it (Nadeau, Bengio 2003)."""
    scores = {0.0: [0.80, 0.82, 0.81, 0.83] * 2, 0.1: [0.84, 0.85, 0.86, 0.88] * 2}
    candidates = grid(scores, folds=4)
    equal = verdict_of(candidates)
    assert equal == verdict_of(candidates, overlap=1 / 3)
    wide = verdict_of(candidates, overlap=1.0)
    # 8 gains: sqrt(1 / 8 + 1) against sqrt(1 / 8 + 1 / 3)
    ratio = math.sqrt((1 / 8 + 1) / (1 / 8 + 1 / 3))
    assert wide.high - wide.low == pytest.approx(ratio * (equal.high - equal.low), rel=1e-9)
    same, once = (
        verdict_of(candidates, overlap=0.5, divided_anew=False),
        [each[:4] for each in scores.values()],
    )
    alone = verdict_of(grid(dict(zip(scores, once, strict=True)), folds=4), overlap=0.5)
    assert (same.pairs, same.low, same.high) == (4, pytest.approx(alone.low), pytest.approx(alone.high))


def test_a_verdict_on_large_numbers_has_no_more_decimals_than_they_need():
    errors = {0.0: [5234.1, 5310.2, 5290.7], 0.1: [4210.5, 4305.9, 4288.3]}
    said = str(verdict_of(grid(errors, folds=3), mode="min", metric="val_mae"))
    assert said.startswith("L2 helps here: at 0.1 mae falls from 5278 to 4268 (-1010, ")
