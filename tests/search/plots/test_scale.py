"""What a picture shows: collapsed strengths and strays do not squash what matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2zoo.engine.record import Record, Unit
from l2zoo.search.plots.scale import score_limits
from l2zoo.search.select import Selection, choose


def search(means: list[float], spread: float = 0.01, mode: str = "max") -> Selection:
    strengths = [0.0, *np.logspace(-6, -1, 11)]
    return choose(
        [
            Record(Unit(strength, fold, 0), score=mean + spread * (fold - 2))
            for strength, mean in zip(strengths, means, strict=False)
            for fold in range(5)
        ],
        mode=mode,
    )


def test_a_collapsed_strength_is_off_the_scale() -> None:
    low, high = score_limits(search([0.855, 0.856, 0.855, 0.857, 0.862, 0.875, 0.888, 0.20, 0.10]))
    assert 0.75 < low < 0.855 - 0.02
    assert 0.888 + 0.02 < high < 0.95


def test_an_exploded_loss_is_off_the_scale() -> None:
    low, high = score_limits(search([0.5, 0.5, 0.49, 0.45, 0.4, 0.42, 1e6], mode="min"))
    assert 0.3 < low < high < 0.6


def test_a_strength_that_only_falls_a_little_is_shown() -> None:
    low, _ = score_limits(search([0.957, 0.957, 0.95, 0.96, 0.963, 0.955, 0.945, 0.94, 0.92, 0.883]))
    assert low < 0.883 - 0.02


def test_one_stray_training_does_not_squash_the_rest() -> None:
    selection = search([0.85] * 6)
    records = [record for candidate in selection.candidates for record in candidate.done]
    records[3] = Record(records[3].unit, score=0.1)
    assert score_limits(choose(records))[0] > 0.6


@pytest.mark.parametrize("score", [0.0, 0.8, -3.0])
def test_equal_scores_have_limits_too(score: float) -> None:
    low, high = score_limits(search([score] * 3, spread=0.0))
    assert low < score < high


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.sampled_from(["max", "min"]))
def test_the_best_is_always_shown(means: list[float], mode: str) -> None:
    selection = search(means, mode=mode)
    low, high = score_limits(selection)
    assert low < selection.best.mean < high
    assert np.isfinite([low, high]).all()
