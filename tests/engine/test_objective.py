"""The score: its name, and which way is better."""

from __future__ import annotations

import pytest

from l2zoo.engine.objective import choose_objective, direction


def same(*names: str) -> dict[str, str]:
    return dict(zip(names, names, strict=True))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("val_data_loss", "min"),
        ("val_mae", "min"),
        ("val_root_mean_squared_error", "min"),
        ("val_age_mse", "min"),
        ("val_auc", "max"),
        ("val_r2_score", "max"),
        ("val_cats_precision", "max"),
    ],
)
def test_more_or_less_is_better_as_keras_tuner_has_it(name, mode):
    assert direction(name) == mode


def test_a_score_of_unknown_direction_must_be_given_with_one():
    with pytest.raises(ValueError, match=r"keras_tuner.Objective\('val_charm', 'max'\)"):
        direction("val_charm")


def test_the_score_is_the_accuracy_if_it_is_measured_else_the_loss_of_the_data():
    assert choose_objective(same("loss", "top5", "accuracy"), None) == "val_accuracy"
    assert choose_objective(same("loss", "top5"), None) == "val_data_loss"
    assert choose_objective(same("loss", "top5"), "val_top5") == "val_top5"


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
        choose_objective(same("loss", "accuracy"), objective)


def test_a_metric_may_be_asked_for_by_the_name_that_keras_gave_it_unless_that_could_be_another():
    names = {"loss": "loss", "auc_3": "auc", "recall_1": "recall", "recall_2": "recall_1"}
    assert choose_objective(names, "val_auc") == choose_objective(names, "val_auc_3") == "val_auc"
    assert choose_objective(names, "val_recall_2") == "val_recall_1"
    with pytest.raises(ValueError, match="'val_recall_1' could be two of the metrics"):
        choose_objective(names, "val_recall_1")
