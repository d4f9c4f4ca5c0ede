"""The picture over two hyperparameters: a disc each, numbers where there is room, the best marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from l2zoo.engine.record import Record, Unit, Value
from l2zoo.search.plots.scatter import alt_text, draw, plot, varying
from l2zoo.search.select import Selection, choose
from tests.search import pictured


def search(
    means: dict[tuple[float, Value], float | None], *, mode: str = "max", name: str = "units"
) -> Selection:
    """Three folds at fixed distances around each mean; a mean of None failed in every fold."""
    records = []
    for (strength, value), mean in means.items():
        for fold in range(3):
            unit = Unit(strength, fold, 0, others=((name, value),))
            score = None if mean is None else mean + 0.01 * (fold - 1)
            records.append(pictured.failed(unit) if score is None else Record(unit, score=score))
    return choose(records, metric="val_accuracy", mode=mode)


GRID = {(0.0, 8): 0.70, (0.01, 8): 0.80, (0.1, 8): None, (0.0, 16): 0.72, (0.01, 16): 0.85, (0.1, 16): 0.30}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def discs(figure: Figure) -> PathCollection:
    (found,) = (found for found in figure.axes[0].collections if isinstance(found, PathCollection))
    return found


@pytest.fixture(scope="module")
def grid() -> Figure:
    return draw(search(GRID))


def test_a_full_grid_is_drawn_with_its_numbers(grid: Figure) -> None:
    assert [text.get_text() for text in grid.axes[0].texts] == ["0.720", "0.850", "0.300", "0.700", "0.800"]
    crowded = {(10.0**-power, units): 0.8 for power in range(1, 6) for units in (8, 16)}
    assert len(draw(search(crowded)).axes[0].texts) == 10
    assert not draw(search(crowded), width=4.1).axes[0].texts  # no room for them


def test_the_best_has_a_star_and_a_failed_one_a_cross(grid: Figure) -> None:
    marked = {str(line.get_marker()): line for line in grid.axes[0].lines}
    # Rows at 0 (8 units) and 1 (16 units).
    assert marked["*"].get_xydata().tolist() == [[0.01, 1]]
    assert marked["x"].get_xydata().tolist() == [[0.1, 0]]
    widths = dict(
        zip(map(tuple, discs(grid).get_offsets().tolist()), discs(grid).get_linewidths(), strict=True)
    )
    assert max(widths, key=widths.__getitem__) == (0.01, 1)


@pytest.mark.parametrize(("mode", "means"), [("max", (0.1, 0.5, 0.9)), ("min", (0.9, 0.5, 0.1))])
def test_better_is_darker(mode: str, means: tuple[float, ...]) -> None:
    places = [(0.0, 8), (0.01, 8), (0.0, 16), (0.01, 16)]
    figure = draw(search(dict(zip(places, (*means, means[1]), strict=True)), mode=mode))
    found = discs(figure)
    found.update_scalarmappable()
    light = dict(zip(found.get_array().round(3), found.get_facecolors()[:, :3].sum(axis=1), strict=True))
    assert light[means[0]] > light[means[1]] > light[means[2]]
    inks = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert inks[f"{means[2]:.3f}"] == "white"
    assert inks[f"{means[0]:.3f}"] != "white"


def test_collapsed_strengths_do_not_take_the_colours_from_the_rest() -> None:
    means = {(s, u): 0.8 + 0.01 * i for i, s in enumerate((0.0, 1e-3, 1e-2)) for u in (8, 16)}
    figure = draw(search({**means, (0.1, 8): 0.1, (0.1, 16): 0.1}))
    low, high = figure.axes[-1].get_ylim()
    assert 0.75 < low < high < 0.9


def test_a_random_search_is_drawn_where_it_looked() -> None:
    selection = pictured.selection(pictured.hyperband())
    figure = draw(selection)
    expected = {(c.strength, dict(c.others)["rate"]) for c in (*selection.candidates, *selection.rest)}
    assert {tuple(point) for point in discs(figure).get_offsets().tolist()} == expected
    assert {"best", "stopped early"} <= set(texts(figure))
    assert not figure.axes[0].texts
    (squares,) = (line for line in figure.axes[0].lines if line.get_marker() == "s")
    assert len(squares.get_xdata()) == len(selection.stopped)


def test_words_get_a_row_each() -> None:
    values = ["tanh", "relu", "gelu"]
    means = {(0.01 * (i + 1), value): 0.5 + 0.1 * i for i, value in enumerate(values)}
    figure = draw(search({**means, (0.0, "relu"): 0.4}, name="activation"))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["gelu", "relu", "tanh"]


def test_the_first_hyperparameter_that_varies_is_drawn_the_rest_at_their_best() -> None:
    records = []
    for strength in (0.0, 0.01):
        for depth in (1, 2):
            for width in (8, 16):
                others = (("always", 1), ("depth", depth), ("width", width))
                mean = 0.5 + strength * 10 + 0.01 * depth + 0.001 * width
                records += [Record(Unit(strength, f, 0, others), score=mean + 0.002 * f) for f in range(2)]
    selection = choose(records)
    assert varying(selection) == "depth"
    figure = draw(selection)
    # At width 16: 0.5 + 0.01 * depth + 0.016 + 0.001, and 0.1 more at strength 0.01.
    shown = sorted(f"{mean:.3f}" for mean in discs(figure).get_array())
    assert shown == ["0.527", "0.537", "0.627", "0.637"]


def test_the_picture_is_described(tmp_path: Path) -> None:
    selection = search(GRID)
    path = plot(selection).save(tmp_path / "plane.png")
    with Image.open(path) as image:
        assert image.text["Title"] == "Accuracy against the strength of L2 and units"
        assert image.text["Description"] == alt_text(selection)
    assert alt_text(selection) == (
        "Mean accuracy for each strength of L2 and value of units. 0 and 16: 0.720; 0.01 and 16: 0.850; "
        "0.1 and 16: 0.300; 0 and 8: 0.700; 0.01 and 8: 0.800; 0.1 and 8: no score (3 failed). "
        "Best: strength 0.01, units 16; mean accuracy 0.850."
    )


def test_a_search_over_strength_alone_has_no_such_picture() -> None:
    selection = pictured.selection(pictured.plain())
    assert varying(selection) is None
    with pytest.raises(ValueError, match="No hyperparameter besides the strength was tried with two values"):
        plot(selection)


@pytest.mark.parametrize("value", ["</svg><script>", "a" * 60, True])
def test_any_value_can_stand_at_the_axis(value: Value) -> None:
    figure = draw(search({(0.0, value): 0.5, (0.1, value): 0.6, (0.1, "b"): 0.7}))
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= 0
