"""Lines of text that are shortened, measured in a drawn figure."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from l2zoo.tasks.plots.lettering import Line, fitted, width

NAME = "a $5 bill & a very long name"


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("size", [6.5, 12.0])
def test_the_width_is_that_of_the_drawn_text(size, weight):
    figure = Figure(dpi=720)  # ten pixels a point, so that whole pixels do not matter
    FigureCanvasAgg(figure)
    text = figure.text(0, 0, NAME, size=size, weight=weight, parse_math=False, family="DejaVu Sans")
    expected = text.get_window_extent().width / 10
    assert width(NAME, size, bold=weight == "bold") == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("points", [70, 100, 130])
def test_only_the_name_is_shortened_and_no_more_than_it_must(points):
    name = "a_$5_bill_&_a_very_long_name"
    text = fitted(Line("said: ", name, " 80%"), points)
    kept = text.removeprefix("said: ").removesuffix("… 80%")
    assert name.startswith(kept)
    assert width(text) <= points - 1 < width(f"said: {name[: len(kept) + 1]}… 80%")


def test_no_space_stands_before_the_dots():
    texts = {fitted(Line("", "a b c d e f"), points) for points in range(5, 60)}
    assert "a b…" in texts
    assert not any(" …" in text for text in texts)


def test_what_fits_stays_and_what_cannot_fit_keeps_its_frame():
    assert fitted(Line("said: ", "cat", " 80%"), 500) == "said: cat 80%"
    assert fitted(Line("said: ", "cat", " 80%"), 5) == "said: … 80%"
    assert fitted(Line("no name here"), 5) == "no name here"
