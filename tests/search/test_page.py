"""The report: says what the search says, needs nothing else, and works in a browser."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from l2zoo.engine.record import Record, Unit
from l2zoo.regularization.audit import Audit, AuditRow
from l2zoo.reports.numbers import format_duration, format_strength
from l2zoo.search.page import page
from l2zoo.search.select import Selection, choose
from tests import chromium
from tests.search import pictured

ROWS = (
    AuditRow("conv/kernel", "kernel", (3, 3, 1, 8), 72, 0.0, 1e-3, 0.25, 1.0, False),
    AuditRow("conv/bias", "bias", (8,), 8, 0.0, 0.0, 0.0, 0.0, False),
)
AUDIT = Audit("cnn", ROWS, 0.25, ("1 kernel without a penalty: <b>dense</b>/kernel",))
GIVEN: dict[str, Any] = {
    "settings": {"folds": 5, "optimizer": {"name": "adam"}},
    "versions": {"keras": "3.15.1"},
    "command": "python recipes/tune_l2.py --out 'runs/a b'",
}


class Reader(HTMLParser):
    """Collects tags with attributes, and the text outside pictures, styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent += tag in ("svg", "style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("svg", "style", "script")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.words.append(data.strip())


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def written(selection: Selection, folder: Path, **more: Any) -> str:
    return page(selection, path=folder / "new" / "report.html", **{**GIVEN, **more}).read_text("utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a search with everything: other values, failures, stopped candidates, an audit."""
    records = [*pictured.hyperband(), *(pictured.failed(Unit(0.5, f, 0, (("rate", 0.1),))) for f in range(5))]
    path = tmp_path_factory.mktemp("page") / "report.html"
    return page(pictured.selection(records), path=path, audit=AUDIT, **GIVEN)


RECORDS = pictured.plain()
MORE = [*RECORDS, pictured.record(Unit(0.1, 0, 0, end=3))]  # 3 epochs, 4.5 seconds


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a search over the strength alone, and one training more than its answer is made of."""
    folder = tmp_path_factory.mktemp("plain")
    return written(pictured.selection(RECORDS), folder, audit=AUDIT, records=MORE)


def test_the_verdict_the_question_and_the_way_to_repeat_it_are_there(plain: str) -> None:
    words = read(plain).words
    for expected in (
        "Does L2 help here?",
        str(pictured.selection(RECORDS).verdict),
        "python recipes/tune_l2.py --out 'runs/a b'",
        "3.15.1",
        '{"name": "adam"}',
        AUDIT.summary,
        "1 kernel without a penalty: <b>dense</b>/kernel",
        "conv/kernel",
        "3x3x1x8",
    ):
        assert expected in words
    assert not any("At the edge" in word for word in words)


def test_every_strength_has_a_row_failed_ones_with_their_reason(plain: str) -> None:
    best, words = pictured.selection(RECORDS).best, read(plain).words
    assert {format_strength(strength) for strength in pictured.GRID} <= set(words)
    assert "failed: the loss became NaN in epoch 2" in words
    assert "best, final model" in words
    assert f"{best.mean:.4f} ± {best.standard_error:.4f}" in words


@pytest.mark.slow
def test_what_was_stopped_and_what_has_other_values_has_a_row_too(report: Path) -> None:
    reader = read(report.read_text("utf-8"))
    rows = [attributes["class"] for tag, attributes in reader.tags if tag == "tr" and "class" in attributes]
    # 12 trained whole, 0 and 3 more at the best values, 12 stopped, 1 failed; the audit's total.
    assert {kind: rows.count(kind) for kind in set(rows)} == {
        "chosen": 1,
        "whole": 4,
        "other": 11,
        "stopped": 12,
        "failed": 1,
        "total": 1,
    }
    assert "stopped after 4 epochs" in reader.words


@pytest.mark.slow
def test_the_edge_is_a_warning(tmp_path: Path) -> None:
    selection = pictured.selection(pictured.hyperband())
    assert not selection.edge  # stronger ones were tried with other values, and stopped
    found = read(written(dataclasses.replace(selection, edge="Extend the grid."), tmp_path)).words
    assert "At the edge:" in found
    assert "Extend the grid." in found


def test_seconds_and_epochs_are_those_of_all_records(plain: str) -> None:
    words = read(plain).words
    # 11 strengths x 5 folds x 20 epochs, 1.5 seconds each; 5 failures of 2 epochs and half a second; 3 more.
    assert f"{11 * 5 * 20 + 5 * 2 + 3:,}" in words
    assert format_duration(11 * 5 * 30 + 2.5 + 4.5) in words


HOSTILE = "</script></title><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"


def test_hostile_strings_are_shown_and_do_nothing(tmp_path: Path) -> None:
    records = [
        Record(Unit(s, fold, 0, others=((f"a{HOSTILE}", value),)), score=0.5 + 0.1 * s + 0.01 * fold)
        for s, value, fold in itertools.product((0.0, 0.1), (HOSTILE, "relu"), range(2))
    ]
    reason = f"it said {HOSTILE}"
    records += [Record(Unit(1.0, 0, 0, (("b", HOSTILE),)), status="failed", reason=reason)]
    audit = Audit(HOSTILE, (), 0.0, (HOSTILE,), HOSTILE)
    text = written(
        choose(records, metric=f"val_{HOSTILE}"),
        tmp_path,
        settings={HOSTILE: [HOSTILE]},
        versions={HOSTILE: HOSTILE},
        command=HOSTILE,
        audit=audit,
    )
    reader = read(text)
    assert "img" not in [tag for tag, _ in reader.tags]
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert reader.words.count(HOSTILE) >= 4
    assert f"failed: {reason}" in reader.words


@pytest.mark.slow
def test_nothing_is_loaded_from_anywhere(report: Path) -> None:
    text = report.read_text("utf-8")
    assert set(re.findall(r'([\w:-]+)="https?://', text)) <= {"xmlns", "xmlns:xlink"}
    assert len(re.findall(r"https?://", text)) == len(re.findall(r'xmlns(?::xlink)?="https?://', text))
    loads = [a[name] or "" for _, a in read(text).tags for name in ("src", "href", "xlink:href") if name in a]
    assert loads
    assert all(address.startswith(("#", "data:")) for address in loads)
    assert "default-src 'none'" in text


def test_ids_are_unique_and_pictures_have_words(report: Path) -> None:
    tags = read(report.read_text("utf-8")).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    pictures = [a for _, a in tags if a.get("role") == "img"]
    assert len(pictures) == 2 * 3  # each wide and narrow
    assert all(len(a["aria-label"] or "") > 50 for a in pictures)


def test_the_page_is_semantic(report: Path) -> None:
    tags = read(report.read_text("utf-8")).tags
    names = [tag for tag, _ in tags]
    assert tags[0] == ("html", {"lang": "en"})
    assert names.count("h1") == names.count("main") == 1
    assert {"header", "section", "figure", "table", "thead", "dl"} <= set(names)
    assert any(a.get("name") == "viewport" for _, a in tags)


@pytest.mark.slow
def test_the_same_search_gives_the_same_page(plain: str, tmp_path: Path) -> None:
    assert written(pictured.selection(RECORDS), tmp_path, audit=AUDIT, records=MORE) == plain


# ---- In a browser ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = chromium.started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


def opened(browser: Any, report: Path, *, width: int = 1200, scheme: str = "light") -> None:
    chromium.look(browser, width=width, scheme=scheme)
    browser.get(report.as_uri())


def column(browser: Any, index: int) -> list[str]:
    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    return browser.execute_script(f"return {rows}.map(row => row.cells[{index}].innerText)")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_renders(browser: Any, report: Path, width: int, scheme: str) -> None:
    opened(browser, report, width=width, scheme=scheme)
    pixels = np.asarray(Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("L"), float)
    assert pixels.shape == (800, width)
    assert pixels.std() > 10
    assert (np.median(pixels) > 200) == (scheme == "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    shown = browser.execute_script(
        "return [...document.querySelectorAll('.picture > div')].filter(d => d.offsetHeight > 200)"
        ".map(d => [d.className, d.querySelector('svg').getBoundingClientRect().width])"
    )
    assert [name for name, _ in shown] == ["narrow" if width == 390 else "wide"] * 3
    assert all(0.8 * min(width, 900) < drawn <= width for _, drawn in shown)
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_a_click_on_a_header_sorts_and_a_second_one_turns_round(browser: Any, report: Path) -> None:
    opened(browser, report)
    button = browser.find_element("xpath", "//th/button[text()='Accuracy ± SE']")
    header = button.find_element("xpath", "..")
    for sort, reverse in (("ascending", False), ("descending", True)):
        button.click()
        assert header.get_attribute("aria-sort") == sort
        *scores, last = column(browser, 1)
        assert last == "-"  # the failed one stays at the end
        assert len(scores) == 28
        assert scores == sorted(scores, key=lambda text: float(text.split()[0]), reverse=reverse)
    sorted_by = browser.find_elements("css selector", "th[aria-sort]")
    assert [found.text.strip() for found in sorted_by] == ["Accuracy ± SE"]


@pytest.mark.slow
def test_the_keyboard_sorts_too(browser: Any, report: Path) -> None:
    opened(browser, report)
    button = browser.find_element("xpath", "//th/button[text()='Strength']")
    browser.execute_script("arguments[0].focus()", button)
    browser.switch_to.active_element.send_keys("\ue007")  # Enter
    strengths = [float(text) for text in column(browser, 0)]
    assert strengths == sorted(strengths)
