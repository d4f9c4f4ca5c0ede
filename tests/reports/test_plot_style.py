"""Pictures in a page: no part of one is taken for a part of another, nothing is loaded or cut off."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from l2zoo.reports import plot_style
from l2zoo.search.plots import curve, learning_curves, scatter
from tests.search import pictured


@pytest.fixture(scope="module")
def picture() -> str:
    return curve.plot(pictured.selection(pictured.two_ways())).inline("one", width=plot_style.WIDE)


def test_every_id_begins_with_the_picture_s_name(picture: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', picture)
    assert len(ids) == len(set(ids)) > 10
    assert {identity.split("-")[0] for identity in ids} == {"one"}


def test_every_reference_in_a_picture_finds_its_part(picture: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', picture))
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', picture)
    assert references
    assert {a or b for a, b in references} <= ids


def test_a_picture_in_a_page_has_no_size_of_its_own_and_loads_nothing(picture: str) -> None:
    root = ElementTree.fromstring(picture)
    assert root.get("width") is None
    assert root.get("height") is None
    assert root.get("viewBox")
    assert "<!--" not in picture
    assert "<metadata" not in picture
    addresses = re.findall(r'(\S+)="https?://', picture)
    assert set(addresses) <= {"xmlns", "xmlns:xlink"}
    assert all(rule.startswith("#one ") for rule in re.findall(r"<style[^>]*>([^<]*)", picture))


def test_a_legend_is_broken_where_the_picture_ends() -> None:
    handles = [Line2D([], [], label=label) for label in ("mean ± standard error", "one training", "x" * 40)]
    assert plot_style.legend_rows(handles, width=8.2) == [handles]
    assert plot_style.legend_rows(handles, width=4.1) == [handles[:2], handles[2:]]
    assert plot_style.legend_rows([], width=4.1) == []


def axis(*strengths: float) -> tuple[np.ndarray, list[str]]:
    """The places of these strengths on an axis of a wide picture, as parts of it, and the labels."""
    axes = Figure(figsize=(8.2, 4)).add_subplot()
    plot_style.strength_axis(axes, strengths)
    shown = axes.transAxes.inverted().transform(axes.transData.transform([(s, 0) for s in strengths]))
    return shown[:, 0], [label.get_text() for label in axes.get_xticklabels()]


def test_strength_0_stands_apart_and_the_others_as_far_as_their_logarithms() -> None:
    places, labels = axis(0.0, 1e-5, 1e-4, 1e-3, 1e-1)
    assert labels == ["0", "1e-5", "1e-4", "0.001", "0.01", "0.1"]
    steps = np.diff(places[1:])
    assert steps == pytest.approx(steps[0] * np.array([1, 1, 2]))
    assert 0 < places[0] < 0.06
    assert places[1] - places[0] > 0.1


@pytest.mark.parametrize(
    ("strengths", "labels"),
    [((0.0,), ["0"]), ((3e-5,), ["3e-5"]), ((0.0, 0.02, 0.05), ["0", "0.02", "0.05"])],
)
def test_few_strengths_have_their_own_labels(strengths: tuple[float, ...], labels: list[str]) -> None:
    places, found = axis(*strengths)
    assert found == labels
    assert all(0 < place < 1 for place in places)


@pytest.mark.parametrize(
    ("search", "width"),
    [
        (pictured.plain, plot_style.NARROW),
        pytest.param(pictured.two_ways, plot_style.WIDE, marks=pytest.mark.slow),
        (pictured.two_ways, plot_style.NARROW),
        (pictured.hyperband, plot_style.NARROW),
    ],
)
def test_nothing_leaves_the_pictures_of_a_page(search, width: float) -> None:
    selection = pictured.selection(search())
    plots = [curve.plot(selection, convention="pytorch"), learning_curves.plot(selection)]
    if scatter.varying(selection):
        plots.append(scatter.plot(selection, convention="pytorch"))
    for plot in plots:
        figure = plot.draw(width=width, headed=False)
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= figure.get_figheight()
