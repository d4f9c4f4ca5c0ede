"""The whole selection, and the notice at the edge of the grid."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2zoo.engine.record import Record, Unit
from l2zoo.search.select import choose

no_deadline = settings(deadline=None)  # the first example imports SciPy, and machines are busy


def records(scores: dict[float, list[float]]) -> list[Record]:
    return [Record(Unit(s, fold, 0), score=x) for s, row in scores.items() for fold, x in enumerate(row)]


def flat(**means: float) -> list[Record]:
    """Two folds around each mean; keys are `s` and the strength, with a p for the point."""
    return records({float(k[1:].replace("p", ".")): [m - 0.01, m + 0.01] for k, m in means.items()})


def test_a_selection_holds_the_whole_answer() -> None:
    selection = choose(flat(s0=0.80, s0p001=0.90, s0p01=0.92, s0p1=0.912, s1=0.30), metric="val_accuracy")
    assert [c.strength for c in selection.candidates] == [0.0, 0.001, 0.01, 0.1, 1.0]
    assert (selection.best.strength, selection.one_se.strength) == (0.01, 0.1)
    assert selection.verdict.strength == 0.01
    assert (selection.metric, selection.mode, selection.edge) == ("val_accuracy", "max", "")


@pytest.mark.parametrize(
    ("means", "edge"),
    [
        ({"s0": 0.5, "s0p01": 0.6, "s0p1": 0.7}, "0.1, is the largest tried: extend the grid to 1."),
        (
            {"s0": 0.5, "s0p001": 0.7, "s0p1": 0.6},
            "0.001, is the smallest tried above 0: extend the grid to 1e-4.",
        ),
        (
            {"s0": 0.5, "s0p01": 0.7},
            "0.01, is the only one tried above 0: extend the grid to 0.001 and to 0.1.",
        ),
        ({"s0": 0.8, "s0p01": 0.6, "s0p1": 0.7}, ""),  # 0 is no edge
        ({"s0": 0.5, "s0p01": 0.6, "s0p1": 0.9, "s1": 0.7}, ""),
        ({"s0": 0.5, "s0p01": 0.5, "s0p1": 0.5}, ""),  # equals: the grid is not to blame
    ],
)
def test_a_best_at_the_edge_says_where_to_extend_the_grid(means: dict[str, float], edge: str) -> None:
    assert choose(flat(**means)).edge == (edge and f"The best strength, {edge}")


def test_all_that_was_tried_counts_for_the_edge() -> None:
    """Hyperband trains one of nine to the end, and random search with other hyperparameters."""
    whole = flat(s0=0.5, s0p01=0.7)
    early = [Record(Unit(s, fold, 0, end=3), score=0.9) for s in (0.001, 0.1, 1.0) for fold in range(2)]
    assert choose([*whole, *early]).edge == ""
    assert choose([*whole, *early]).best.strength == 0.01  # of those that were trained to the end
    other = [Record(Unit(0.001, fold, 0, (("lr", 0.1),)), score=0.4) for fold in range(2)]
    edge = choose([*whole, *other]).edge
    assert edge == "The best strength, 0.01, is the largest tried: extend the grid to 0.1."


def test_who_judges_is_not_who_chose() -> None:
    searched = flat(s0=0.5, s0p01=0.9, s0p1=0.6)
    judged = [
        Record(Unit(s, fold, 1), score=x + fold / 100)
        for s, x in ((0.0, 0.5), (0.01, 0.3))
        for fold in range(3)
    ]
    selection = choose(searched, judged=judged, metric="accuracy")
    assert (selection.best.strength, selection.best.n) == (0.01, 2)
    assert (selection.verdict.outcome, selection.verdict.fresh) == ("hurts", True)
    assert (selection.verdict.gain, selection.verdict.difference) == pytest.approx((-0.2, -0.2))
    assert "3 paired trainings on fresh divisions of the data" in str(selection.verdict)


def test_no_finished_training_is_an_error() -> None:
    failed = Record(Unit(0.1, 0, 0), status="failed", reason="the loss became NaN in epoch 1")
    with pytest.raises(ValueError, match="all 1 failed, the first because the loss became NaN in epoch 1"):
        choose([failed])


@no_deadline
@given(st.floats(-100, 100), st.integers(2, 5), st.integers(2, 5))
def test_a_constant_score_takes_the_largest_strength_and_tells_nothing(
    score: float, k: int, folds: int
) -> None:
    strengths = [0.0, 1e-4, 1e-3, 0.01, 0.1][:k]
    selection = choose(records({s: [score] * folds for s in strengths}))
    assert selection.best.strength == selection.one_se.strength == strengths[-1]
    assert selection.verdict.outcome == "all equal"


@no_deadline
@given(
    st.lists(st.lists(st.integers(0, 64), min_size=4, max_size=4), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_order_of_records_changes_nothing(rows: list[list[int]], random) -> None:
    found = records({[0.0, 1e-4, 1e-3, 0.01, 0.1][i]: [x / 64 for x in row] for i, row in enumerate(rows)})
    before = choose(found)
    random.shuffle(found)
    assert str(choose(found)) == str(before)  # as text, for NaN is not equal to itself
