"""Boxes and their answers, seen through the axes that they are drawn into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from l2zoo.tasks.plots import box_marks
from l2zoo.tasks.plots.lettering import Line

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
    box_marks.draw_boxes(axes, np.array([[2, 3, 12, 15.5]]), "truth")
    box_marks.draw_boxes(axes, np.array([[4, 5, 14, 16]]), "found")
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
    box_marks.draw_boxes(axes, np.array([[5, 5, 25, 15]]), look)
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
    box_marks.draw_answers(axes, boxes, lines, shape=(H, W), points=10 * W)
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
    place = box_marks.free_place(np.array([*corner, *np.add(corner, size)]), text, (H, W), NONE)
    np.testing.assert_allclose(place[2:] - place[:2], text)
    assert (place >= 0).all()
    assert (place[2:] <= np.array([W, H]) + 1e-9).all()


def test_above_comes_first_then_below_then_inside():
    box, taken = np.array([4, 8, 14, 16]), NONE
    for left, top in [(4, 4), (4, 16), (4, 8), (4, 12)]:
        place = box_marks.free_place(box, (10, 4), (H, W), taken)
        assert place[:2].tolist() == [left, top]
        taken = np.concatenate([taken, place[None]])
    assert box_marks.free_place(np.array([4, 0, 14, 6]), (10, 4), (H, W), NONE)[1] == 0
