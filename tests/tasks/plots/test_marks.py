"""Boxes with their answers, lines of text and painted masks, seen in what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from l2zoo.tasks.plots.marks import (
    Line,
    draw_answers,
    draw_boxes,
    fit_text,
    free_place,
    paint_mask,
    text_width,
)

H, W = 20, 32
NONE = np.zeros((0, 4))


@pytest.fixture
def axes() -> Axes:
    """320 pixels by 200, 72 an inch, so that a pixel of the image is ten points."""
    figure = Figure(figsize=(W / 7.2, H / 7.2), dpi=72)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, W), ylim=(H, 0))
    axes.axis("off")
    return axes


def pixels(axes: Axes) -> np.ndarray:
    """Brightness in [0, 255], `(200, 320)`."""
    axes.figure.canvas.draw()
    return np.asarray(axes.figure.canvas.buffer_rgba())[..., :3].mean(axis=2)


def test_true_boxes_are_dashed_and_those_found_are_solid(axes):
    draw_boxes(axes, np.array([[2, 3, 12, 15.5]]), "truth")
    draw_boxes(axes, np.array([[4, 5, 14, 16]]), "found")
    true, found = axes.patches
    assert (true.get_gid(), found.get_gid()) == ("truth", "found")
    assert [true.get_x(), true.get_y(), true.get_width(), true.get_height()] == [2, 3, 10, 12.5]
    assert found.get_linestyle() == "solid" != true.get_linestyle()
    assert found.get_linewidth() > true.get_linewidth()


@pytest.mark.parametrize("look", ["truth", "found"])
@pytest.mark.parametrize("background", ["black", "white"])
def test_a_box_is_seen_on_dark_and_on_light_pixels(look, background, axes):
    axes.add_artist(axes.figure.patch).set_facecolor(background)
    before = pixels(axes)
    draw_boxes(axes, np.array([[5, 5, 25, 15]]), look)
    changed = np.abs(pixels(axes) - before) > 90
    sides = (
        changed[45:56, 60:240],
        changed[145:156, 60:240],
        changed[60:140, 45:56].T,
        changed[60:140, 245:256].T,
    )
    assert all(side.any(axis=0).mean() > 0.4 for side in sides)
    assert not changed[60:140, 60:240].any()


def test_answers_for_the_same_box_can_all_be_read(axes):
    boxes = np.tile([5.0, 5, 25, 15], (8, 1))
    lines = [Line("", "sky", f" 0.{9 - number}") for number in range(8)]
    draw_answers(axes, boxes, lines, shape=(H, W), points=10 * W)
    assert [text.get_text() for text in axes.texts] == [f"sky 0.{9 - number}" for number in range(8)]
    places = [text.get_window_extent().padded(-1) for text in axes.texts]
    assert not any(places[i].overlaps(places[j]) for j in range(8) for i in range(j))
    assert all(0 <= place.x0 < place.x1 <= 10 * W and 0 <= place.y0 < place.y1 <= 10 * H for place in places)


@given(
    corner=st.tuples(st.floats(-5, W), st.floats(-5, H)),
    size=st.tuples(st.floats(1, W), st.floats(1, H)),
    text=st.tuples(st.floats(1, W), st.floats(1, H)),
)
def test_a_place_has_the_size_of_its_text_and_lies_in_the_image(corner, size, text):
    place = free_place(np.array([*corner, *np.add(corner, size)]), text, (H, W), NONE)
    np.testing.assert_allclose(place[2:] - place[:2], text)
    assert (place >= 0).all()
    assert (place[2:] <= np.array([W, H]) + 1e-9).all()


def test_above_comes_first_then_below_then_inside():
    box, taken = np.array([4, 8, 14, 16]), NONE
    for left, top in [(4, 4), (4, 16), (4, 8), (4, 12)]:
        place = free_place(box, (10, 4), (H, W), taken)
        assert place[:2].tolist() == [left, top]
        taken = np.concatenate([taken, place[None]])
    assert free_place(np.array([4, 0, 14, 6]), (10, 4), (H, W), NONE)[1] == 0


LONG_NAME = "a $5 bill & a very long name"


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("size", [6.5, 12.0])
def test_the_width_is_that_of_the_drawn_text(size, weight):
    figure = Figure(dpi=720)  # ten pixels a point, so that whole pixels do not matter
    FigureCanvasAgg(figure)
    text = figure.text(0, 0, LONG_NAME, size=size, weight=weight, parse_math=False, family="DejaVu Sans")
    expected = text.get_window_extent().width / 10
    assert text_width(LONG_NAME, size, bold=weight == "bold") == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("points", [70, 100, 130])
def test_only_the_name_is_shortened_and_no_more_than_it_must(points):
    name = "a_$5_bill_&_a_very_long_name"
    text = fit_text(Line("said: ", name, " 80%"), points)
    kept = text.removeprefix("said: ").removesuffix("… 80%")
    assert name.startswith(kept)
    assert text_width(text) <= points - 1 < text_width(f"said: {name[: len(kept) + 1]}… 80%")


def test_no_space_stands_before_the_dots():
    texts = {fit_text(Line("", "a b c d e f"), points) for points in range(5, 60)}
    assert "a b…" in texts
    assert not any(" …" in text for text in texts)


def test_what_fits_stays_and_what_cannot_fit_keeps_its_frame():
    assert fit_text(Line("said: ", "cat", " 80%"), 500) == "said: cat 80%"
    assert fit_text(Line("said: ", "cat", " 80%"), 5) == "said: … 80%"
    assert fit_text(Line("no name here"), 5) == "no name here"


def area(label: int) -> np.ndarray:
    return paint_mask(np.full((1, 4), label))


def brightness(label: int) -> np.ndarray:
    return area(label) @ [0.299, 0.587, 0.114]


def test_36_classes_and_none_look_in_37_ways():
    assert len({area(label).tobytes() for label in range(-1, 36)}) == 37


def test_five_classes_in_a_row_have_five_patterns():
    for first in (1, 31):
        marks = [(area(label) != area(label)[2, 4]).any(axis=2) for label in range(first, first + 5)]
        for mark in marks:
            mark ^= mark.mean() > 0.5
        assert len({mark.tobytes() for mark in marks}) == 5
        assert sorted(mark.any() for mark in marks) == [False, True, True, True, True]


@pytest.mark.parametrize("label", [-1, *range(2, 6), *range(7, 11)])
def test_marks_differ_from_their_colour_in_brightness(label):
    assert np.ptp(brightness(label)) > 60


def test_the_first_two_classes_that_share_a_pattern_differ_in_brightness():
    assert abs(brightness(1).mean() - brightness(6).mean()) > 30


def test_class_0_is_black_and_what_is_not_labelled_is_grey_with_marks():
    assert not area(0).any()
    grey = area(-1)
    assert (grey == grey[..., :1]).all()
    assert grey.max() == 128  # #808080
    assert grey.min() < 100


@pytest.mark.parametrize(("shape", "factor"), [((2, 3), 160), ((10, 16), 30), ((700, 500), 1)])
def test_every_pixel_becomes_a_square_of_its_class(shape, factor):
    mask = np.arange(shape[0] * shape[1]).reshape(shape) % 2
    painted = paint_mask(mask)
    assert painted.shape == (factor * shape[0], factor * shape[1], 3)
    assert painted.dtype == np.uint8
    expected = np.kron(mask, np.ones((factor, factor), int))[..., None] * [0x56, 0xB4, 0xE9]
    np.testing.assert_array_equal(painted, expected)
