"""What a comparison may say: scores that flatter nobody, and sentences that follow from the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from l2zoo.engine.record import Record, Unit
from l2zoo.studies.compare import forest
from l2zoo.studies.compare.findings import Standing, differences
from l2zoo.studies.compare.result import Comparison
from l2zoo.studies.compare.selection import best_strength, held_out_scores


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
    """On test images that all say the same, so that trainings alone make a difference."""
    standings = []
    for name, each in scores.items():
        of_unit = {(seed, 0): score for seed, score in enumerate(each)}
        standings.append(Standing(name, of_unit, parts={unit: (s,) * 10 for unit, s in of_unit.items()}))
    found = differences(standings, baseline="none", division=None)
    return Comparison(found, baseline="none", metric="val_accuracy", mode="max", seeds=4, folds=0)


@pytest.fixture(scope="module")
def found() -> Comparison:
    return comparison(
        none=[0.70, 0.71, 0.69, 0.70],
        good=[0.80, 0.82, 0.79, 0.81],
        bad=[0.50, 0.51, 0.48, 0.51],
        same=[0.71, 0.70, 0.70, 0.69],
        lost=[0.9],
    )


def test_what_is_said_is_what_the_numbers_show(found: Comparison) -> None:
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


def test_test_images_are_a_sample_too() -> None:
    """All trainings answer alike, and two variants differ on a few of 50 parts of the images."""
    few = [0.0] * 46 + [0.1, 0.1, -0.1, 0.1]
    standings = [
        Standing(
            name,
            {(seed, 0): 0.9 + sum(parts) / 50 for seed in range(5)},
            parts={(seed, 0): [0.9 + part for part in parts] for seed in range(5)},
        )
        for name, parts in (("none", [0.0] * 50), ("other", few))
    ]
    found = differences(standings, baseline="none", division=None)[1]
    assert found.difference.mean == pytest.approx(0.004)
    assert found.difference.low < 0 < found.difference.high
    assert found.p_holm > 0.05


def test_the_table_tells_each_variant_and_how_it_compares(found: Comparison) -> None:
    lines = [line.split() for line in str(found.table()).splitlines()]
    header = ["Variant", "Accuracy", "±", "SE", "To", "none", "95", "%", "interval", "p", "(Holm)", "Trained"]
    assert lines[0] == header
    # By hand: 0.00816497 / 2 and 0.0129099 / 2; gains 0.1 and 0.11 twice each, t(0.975, 3) = 3.182446.
    assert lines[1] == ["none", "0.7000", "±", "0.0041", "4", "baseline"]
    assert lines[2][:6] == ["good", "0.8050", "±", "0.0065", "+0.1050", "+0.0958"]
    assert lines[5] == ["lost", "0.9000", "1", "not", "compared"]
    assert [line[-1] for line in lines[1:]] == ["baseline", "better", "worse", "unclear", "compared"]


def test_the_forest_has_a_row_for_each_but_the_baseline_from_the_best(
    found: Comparison, tmp_path: Path
) -> None:
    figure = forest.draw(found, width=4.1, headed=False)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "same", "bad", "lost"]
    squares = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "s"}
    gaps = [found[name].difference.mean for name in ("good", "same", "bad")]
    assert [squares[row].get_xdata()[0] for row in range(3)] == pytest.approx(gaps)
    assert squares[1].get_markerfacecolor() == "white"
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= 4.1
    assert box.y1 <= figure.get_figheight()
    with Image.open(found.plot(tmp_path / "forest.png")) as image:
        assert image.text["Title"] == "Accuracy of each variant, less that of none"
        assert "good: +0.105 (+0.096 to +0.114), better; same: +0.000 (" in image.text["Description"]
        assert image.text["Description"].endswith("lost: not compared, not compared.")
