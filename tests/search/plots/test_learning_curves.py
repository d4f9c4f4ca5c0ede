"""Learning curves: means over what still runs, the chosen strength strong, collapsed ones no nuisance."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from l2zoo.engine.record import Record, Unit
from l2zoo.search.candidates import gather
from l2zoo.search.plots.learning_curves import alt_text, draw, mean_curve, plot
from l2zoo.search.select import choose
from tests.search import pictured


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}


def lines(figure: Figure, length: int) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if len(line.get_xdata()) == length]


def test_curves_are_averaged_over_those_that_still_run() -> None:
    curves = ([0.1, 0.2, 0.3, 0.4], [0.3, 0.4], [0.5, math.nan, 0.7])
    records = [Record(Unit(0.1, f, 0), score=0.5, curves={"acc": c}) for f, c in enumerate(curves)]
    (candidate,) = gather([*records, pictured.failed(Unit(0.1, 3, 0))])
    assert mean_curve(candidate, "acc") == pytest.approx([0.3, 0.3, 0.5, 0.4])
    assert mean_curve(candidate, "loss").shape == (0,)


def test_an_epoch_without_a_number_is_a_gap() -> None:
    (candidate,) = gather([Record(Unit(0.1, 0, 0), score=0.5, curves={"acc": [0.1, math.nan, 0.3]})])
    np.testing.assert_equal(mean_curve(candidate, "acc"), [0.1, math.nan, 0.3])


def test_the_chosen_strength_is_strong_and_none_is_dashed() -> None:
    selection = pictured.selection(pictured.plain())
    figure = draw(selection, chosen=selection.one_se.strength)
    widths = {line.get_linewidth(): line for line in lines(figure, 20)}
    expected = np.mean([r.curves["val_accuracy"] for r in selection.one_se.done], axis=0)
    assert widths[max(widths)].get_ydata() == pytest.approx(expected)
    (dashed,) = (line for line in lines(figure, 20) if line.is_dashed())
    zero = np.mean([r.curves["val_accuracy"] for r in selection.candidates[0].done], axis=0)
    assert dashed.get_ydata() == pytest.approx(zero)
    assert {"chosen: 0.00316", "without L2", "all others (1 off the scale)"} <= texts(figure)


def test_collapsed_strengths_leave_the_picture_not_squash_it() -> None:
    low, high = draw(pictured.selection(pictured.plain())).axes[0].get_ylim()
    assert 0.5 < low < 0.79
    assert 0.88 < high < 1.0


def test_losses_that_begin_high_do_not_squash_the_end() -> None:
    curve = [50.0, 5.0, 1.0, 0.9, 0.8, 0.7, 0.65, 0.62, 0.61, 0.60]
    records = [
        Record(Unit(s, f, 0), score=0.6 + s, curves={"val_data_loss": [x + s + 0.01 * f for x in curve]})
        for s in (0.0, 0.01, 0.1)
        for f in range(3)
    ]
    selection = choose(records, metric="val_data_loss", mode="min")
    assert draw(selection).axes[0].get_ylim()[1] < 3


def test_what_was_stopped_ends_with_a_mark_where_it_stopped() -> None:
    selection = pictured.selection(pictured.hyperband())
    figure = draw(selection)
    assert len(lines(figure, 4)) == len(selection.stopped) == 12
    marks = [line for line in lines(figure, 1) if line.get_marker() == "s"]
    assert [line.get_xdata()[0] for line in marks] == [4] * 12
    assert "stopped early" in texts(figure)


def test_one_epoch_is_a_dot() -> None:
    records = pictured.records(((0.0, ()), (0.01, ())), epochs=1)
    assert {line.get_marker() for line in draw(pictured.selection(records)).axes[0].lines} == {"o"}


def test_the_picture_is_described(tmp_path: Path) -> None:
    selection = pictured.selection(pictured.hyperband())
    path = plot(selection).save(tmp_path / "learning.png")
    with Image.open(path) as image:
        assert image.text["Title"] == "Accuracy while training"
        assert image.text["Description"] == alt_text(selection)
    assert alt_text(selection).startswith(
        "Accuracy on the held-out fold against the epoch, for 28 candidates."
    )
    assert alt_text(selection).endswith("in epoch 20. 12 were stopped early.")


def test_records_without_curves_have_no_picture() -> None:
    selection = choose([Record(Unit(s, f, 0), score=0.5) for s in (0.0, 0.1) for f in range(2)])
    with pytest.raises(ValueError, match="No training has a curve of 'score', so there is nothing to draw"):
        plot(selection)
