"""Pictures in a page: no part of one is taken for a part of another, and nothing is loaded."""

from __future__ import annotations

import re
from functools import partial
from xml.etree import ElementTree

import pytest
from matplotlib.lines import Line2D

from l2zoo.reports import plot_style
from l2zoo.search.plots import curve, learning_curves, scatter
from tests.search import pictured


def drawn(name: str) -> str:
    selection = pictured.selection(pictured.two_ways())
    return plot_style.inline(partial(curve.draw, selection, title="", convention="keras"), name=name)


def test_ids_of_two_pictures_never_clash() -> None:
    one, two = (set(re.findall(r'\bid="([^"]+)"', drawn(name))) for name in ("one", "two"))
    assert len(one) == len(two) > 10
    assert not one & two


def test_every_reference_in_a_picture_finds_its_part() -> None:
    text = drawn("one")
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert references
    assert {a or b for a, b in references} <= ids


def test_a_picture_in_a_page_has_no_size_of_its_own_and_loads_nothing() -> None:
    text = drawn("one")
    root = ElementTree.fromstring(text)
    assert root.get("width") is None
    assert root.get("height") is None
    assert root.get("viewBox")
    assert "<!--" not in text
    assert "<metadata" not in text
    addresses = re.findall(r'(\S+)="https?://', text)
    assert set(addresses) <= {"xmlns", "xmlns:xlink"}
    assert all(rule.startswith("#one ") for rule in re.findall(r"<style[^>]*>([^<]*)", text))


def test_a_legend_is_broken_where_the_picture_ends() -> None:
    handles = [Line2D([], [], label=label) for label in ("mean ± standard error", "one training", "x" * 40)]
    assert plot_style.legend_rows(handles, width=8.2) == [handles]
    assert plot_style.legend_rows(handles, width=4.1) == [handles[:2], handles[2:]]


@pytest.mark.parametrize("width", [plot_style.WIDE, plot_style.NARROW])
@pytest.mark.parametrize("search", [pictured.plain, pictured.two_ways, pictured.hyperband])
def test_nothing_leaves_the_pictures_of_a_page(search, width: float) -> None:
    selection = pictured.selection(search())
    figures = [
        curve.draw(selection, title="", convention="pytorch", width=width, headed=False),
        learning_curves.draw(selection, width=width, headed=False),
    ]
    if scatter.varying(selection):
        figures.append(scatter.draw(selection, convention="pytorch", width=width, headed=False))
    for figure in figures:
        figure.canvas.draw()
        box = figure.get_tightbbox()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= figure.get_figheight()
