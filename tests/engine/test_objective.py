"""The score: its name, and which way is better."""

from __future__ import annotations

import pytest

from l2zoo.engine.objective import choose_objective, direction


@pytest.mark.parametrize(("name", "mode"), [("val_data_loss", "min"), ("val_mae", "min"), ("val_auc", "max")])
def test_more_or_less_is_better_as_keras_tuner_has_it(name, mode):
    assert direction(name) == mode


def test_a_score_of_unknown_direction_must_be_given_with_one():
    with pytest.raises(ValueError, match=r"keras_tuner.Objective\('val_charm', 'max'\)"):
        direction("val_charm")


def test_the_score_is_the_accuracy_if_it_is_measured_else_the_loss_of_the_data():
    assert choose_objective(["loss", "top5", "accuracy"], None) == "val_accuracy"
    assert choose_objective(["loss", "top5"], None) == "val_data_loss"
    assert choose_objective(["loss", "top5"], "val_top5") == "val_top5"


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("val_loss", "contains the penalty"),
        ("loss", "contains the penalty"),
        ("val_mistakes", r"must be one of \['val_data_loss', 'val_accuracy'\], got objective='val_mistakes'"),
    ],
)
def test_an_objective_with_the_penalty_or_unknown_is_refused(objective, message):
    with pytest.raises(ValueError, match=message):
        choose_objective(["loss", "accuracy"], objective)
