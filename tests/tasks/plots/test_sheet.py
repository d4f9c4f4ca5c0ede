"""Sheets by hand, seen through the figure that is drawn and through the file."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from l2zoo.tasks.plots.marks import Line
from l2zoo.tasks.plots.sheet import Panel, Sheet, draw_sheet, save_sheet

H, W = 20, 32
PIXELS = np.random.default_rng(0).integers(0, 256, (H, W, 3)).astype("uint8")
LONG = "a $5 bill & a very long name that fits nowhere, not even in this place"


def sheet(count: int = 2, columns: int = 4, group: int = 1, legend=(), **panel) -> Sheet:
    panels = [Panel(PIXELS, [Line(f"#{i} "), Line("said: ", LONG, " 80%")], **panel) for i in range(count)]
    return Sheet("Title", "About it.", ["#0: cat.", "#1: dog."], panels, columns, group, legend)


@pytest.mark.parametrize(
    ("ending", "description"),
    [(".png", None), (".svg", b"<dc:description>Title. About it. #0: cat. #1: dog."), (".PDF", b"/Subject")],
)
def test_the_same_sheet_gives_the_same_file_with_its_description(ending, description, tmp_path):
    one, other = (save_sheet(sheet(legend=[("sky", 0)]), tmp_path / name / f"a{ending}") for name in "xy")
    assert one.read_bytes() == other.read_bytes()
    assert [file.name for file in one.parent.iterdir()] == [f"a{ending}"]
    if description:
        assert description in one.read_bytes()
    else:
        assert Image.open(one).text["Title"] == "Title"
        assert Image.open(one).text["Description"] == "Title. About it. #0: cat. #1: dog."


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in .png, .svg or .pdf, got path='.*a.jpg'"):
        save_sheet(sheet(), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("count", "columns", "group", "rows", "gaps"),
    [(1, 4, 1, 1, []), (5, 4, 1, 2, [0.22] * 3), (6, 6, 3, 1, [0.06, 0.06, 0.22, 0.06, 0.06])],
)
def test_panels_stand_in_rows_and_those_of_one_image_closer(count, columns, group, rows, gaps):
    figure = draw_sheet(sheet(count, columns, group))
    wide, high = figure.get_size_inches()
    places = [axes.get_position() for axes in figure.axes]
    assert len(places) == count
    assert len({round(place.y0, 6) for place in places}) == rows
    first = places[: min(columns, count)]
    between = [(right.x0 - left.x1) * wide for left, right in pairwise(first)]
    np.testing.assert_allclose(between, gaps, atol=1e-6)
    np.testing.assert_allclose([p.height * high / (p.width * wide) for p in places], H / W)


def test_pixels_stand_in_their_own_coordinates():
    axes = draw_sheet(sheet()).axes[0]
    assert axes.get_xlim() == (0, W)
    assert axes.get_ylim() == (H, 0)
    np.testing.assert_array_equal(axes.images[0].get_array(), PIXELS)


def test_a_wrong_panel_has_a_cross_and_a_dashed_frame():
    right, wrong = (draw_sheet(sheet(wrong=given)).axes[0] for given in (False, True))
    assert "✕" in [text.get_text() for text in wrong.texts]
    assert "✕" not in [text.get_text() for text in right.texts]
    assert wrong.spines["top"].get_linestyle() != right.spines["top"].get_linestyle() == "solid"
    assert wrong.spines["top"].get_linewidth() > right.spines["top"].get_linewidth()


def test_nothing_leaves_the_sheet_and_no_texts_touch():
    legend = [(f"{label} {LONG[: 9 * label]}", label) for label in range(8)] + [("not labelled", -1)]
    answers = [Line("", "cat", " 0.90"), Line("", LONG, " 0.50")]
    boxed = sheet(2, found_xyxy=np.array([[0, 0, 10, 10], [4, 2, 32, 20]]), found=answers)
    figure = draw_sheet(
        replace(boxed, panels=[*boxed.panels, *sheet(1, wrong=True).panels], columns=2, legend=legend)
    )
    figure.canvas.draw()
    texts = [text for part in (figure, *figure.axes) for text in part.texts]
    assert len(texts) == 2 + 2 * (2 + 2) + (2 + 1) + 9
    places = [text.get_window_extent() for text in texts]
    assert all(figure.bbox.x0 <= place.x0 < place.x1 <= figure.bbox.x1 for place in places)
    assert all(figure.bbox.y0 <= place.y0 < place.y1 <= figure.bbox.y1 for place in places)
    inner = [place.padded(-1) for place in places]
    assert not [(i, j) for j in range(len(inner)) for i in range(j) if inner[i].overlaps(inner[j])]


def test_every_class_of_the_legend_has_its_own_swatch():
    figure = draw_sheet(sheet(legend=[(str(label), label) for label in range(-1, 12)]))
    legend = figure.axes[-1]
    assert legend.get_gid() == "legend"
    assert [int(text.get_text()) for text in legend.texts] != list(range(-1, 12))  # the last row comes first
    assert sorted(int(text.get_text()) for text in legend.texts) == list(range(-1, 12))
    assert len({image.get_array().tobytes() for image in legend.images}) == 13
    middles = [sum(image.get_extent()[2:]) / 2 for image in legend.images]
    np.testing.assert_allclose(middles, [text.get_position()[1] for text in legend.texts])
