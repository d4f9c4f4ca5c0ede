"""The documentation as it is read: built without a warning, every page opened in a browser, as on a phone."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import typer
from PIL import Image

from l2zoo.cli import app
from tests import chromium, pages
from tests.processes import output_of, until

pytestmark = pytest.mark.slow


BARE = "return [...document.images].filter((each) => !each.naturalWidth && each.loading != 'lazy').length"
FROM_AFAR = """return performance.getEntriesByType('resource')
    .map((entry) => entry.name).filter((name) => name.startsWith('http'))"""
WIDTH = "return document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages; a warning would have ended the build."""
    for package in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        pytest.importorskip(package, reason='needs pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("pages")
    options = ["-W", "--keep-going", "--quiet", "-b", "html", "-d", folder / "trees"]
    output_of([sys.executable, "-m", "sphinx", *options, "docs", folder / "html"], cwd=pages.ROOT)
    return folder / "html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = chromium.started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


class Links(HTMLParser):
    """Where a page leads, and the places in it to which one can be led."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.places |= {found["id"]} if found.get("id") else set()
        address = found.get({"a": "href", "link": "href", "img": "src", "script": "src"}.get(tag, ""))
        self.leads += [address] if address else []


def test_every_link_leads_to_a_page_of_ours_and_a_place_in_it(built: Path) -> None:
    seen = {path.resolve(): Links(path) for path in built.rglob("*.html")}
    assert len(seen) > 40
    broken = []
    for path, links in seen.items():
        for address in links.leads:
            to = urlsplit(address)
            if not to.scheme and not to.netloc:
                target = (path.parent / unquote(to.path)).resolve() if to.path else path
                there = seen[target].places if target in seen else {""}
                if not target.exists() or (target in seen and to.fragment and to.fragment not in there):
                    broken.append(f"{path.relative_to(built.resolve())}: {address}")
    assert broken == []


def test_every_option_of_every_command_is_on_their_page(built: Path) -> None:
    text = (built / "reference/command-line.html").read_text(encoding="utf-8")
    program = typer.main.get_command(app)
    wanted = {
        option for command in program.commands.values() for each in command.params for option in each.opts
    }
    options = {option for option in wanted if option.startswith("-")}
    assert len(options) > 50
    assert [option for option in sorted(options) if f">{option}<" not in text] == []


def test_every_page_opens_without_an_error_and_fits_a_phone(built: Path, browser: Any) -> None:
    chromium.look(browser, width=390)
    wrong = []
    for path in sorted(built.rglob("*.html")):
        browser.get(path.as_uri())
        told = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        width, bare, from_afar = map(browser.execute_script, (WIDTH, BARE, FROM_AFAR))
        if told or width > 390 or bare or from_afar:
            wrong.append((path.relative_to(built).as_posix(), told, width, bare, from_afar))
    assert wrong == []


def test_the_search_finds_a_page(built: Path, browser: Any) -> None:
    chromium.look(browser)
    browser.get((built / "search.html").as_uri() + "?q=bonferroni")

    def found() -> list[str]:
        links = browser.find_elements("css selector", "#search-results li a")
        return [link.get_attribute("href").split("#")[0].split("?")[0] for link in links]

    until(found, what="find a page")
    assert (built / "explanations/choosing-lambda.html").as_uri() in found()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_dark_for_who_wants_it_dark(built: Path, browser: Any, scheme: str) -> None:
    chromium.look(browser, scheme=scheme)
    browser.get((built / "explanations/what-l2-does.html").as_uri())
    pixels = np.asarray(Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("L"), float)
    assert pixels.std() > 10
    assert (np.median(pixels) > 150) == (scheme == "light")
