"""The documentation: complete, its examples run, its commands are understood, its pages open in a browser."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from l2zoo.cli import app
from tests import pages

DOCS = pages.ROOT / "docs"
PACKAGES = ("l2zoo", "l2zoo.data", "l2zoo.tasks", "l2zoo.artifacts")


# ---- The reference -----------------------------------------------------------------------------------------


def documented() -> list[str]:
    """The names for which the pages of the reference ask, with their modules."""
    texts = [page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md")]
    return re.findall(r"^\.\. auto(?:function|class):: ([\w.]+)$", "\n".join(texts), re.MULTILINE)


def member(path: str) -> Any:
    module, _, attribute = path.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def public() -> dict[str, Any]:
    """Every public name and what it is."""
    found = {}
    for package in PACKAGES:
        found |= {
            f"{package}.{name}": member(f"{package}.{name}")
            for name in importlib.import_module(package).__all__
        }
    return {path: value for path, value in found.items() if not path.endswith("__")}


def test_every_public_name_is_in_the_reference_once() -> None:
    there = documented()
    assert len(there) == len(set(there)) > 60
    values = [member(path) for path in there]
    assert len({id(value) for value in values}) == len(values)
    assert [path for path, value in public().items() if not any(value is each for each in values)] == []


def own_methods(value: type) -> dict[str, Any]:
    """The public methods and properties that a class defines itself and no class above it does."""
    above = {name for base in value.__mro__[1:] for name in vars(base)}
    return {
        name: each
        for name, each in vars(value).items()
        if not name.startswith("_")
        and name not in above
        and (inspect.isroutine(each) or isinstance(each, property))
    }


def test_everything_in_the_reference_has_a_docstring() -> None:
    bare = []
    for path in documented():
        value = member(path)
        bare += [] if vars(value).get("__doc__") or value.__doc__ else [path]
        if isinstance(value, type):
            bare += [
                f"{path}.{name}" for name, each in own_methods(value).items() if not inspect.getdoc(each)
            ]
    assert bare == []


def test_every_argument_of_a_public_function_is_explained() -> None:
    missing = []
    for path, value in public().items():
        if inspect.isfunction(value):
            text = inspect.getdoc(value) or ""
            names = list(inspect.signature(value).parameters)
            missing += [
                f"{path}: {name}" for name in names if not re.search(rf"^ +{name}: ", text, re.MULTILINE)
            ]
    assert missing == []


# ---- Examples ----------------------------------------------------------------------------------------------


def with_code() -> list[Path]:
    """The pages that are run here; README and the tutorials, with their commands, have tests of their own."""
    others = {pages.ROOT, DOCS / "tutorials"}
    return [page for page in pages.texts() if page.parent not in others and pages.python_blocks(page)]


# What takes longest, and is done by a recipe or another page too.
LONG = ("fine-tune", "from-optuna", "from-segmentation-models", "groups-and-time-series", "quickstart")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.sweep if page.stem in LONG else ()) for page in with_code()],
    ids=pages.name,
)
def test_the_examples_of_a_page_run_one_after_another(page: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.run_blocks(page)


def check_command(command: Any, words: list[str]) -> None:
    """Raises over what a command does not know; a file may be one that the page makes."""
    try:
        command.make_context(words[1], words[2:])
    except typer.BadParameter as error:
        if not re.search("does not exist|is no artifact's folder", error.message):
            raise


def test_every_command_of_ours_that_a_page_names_is_understood() -> None:
    program, count = typer.main.get_command(app), 0
    for page in pages.texts():
        for words in pages.commands(page, "l2zoo"):
            count += 1
            if not words[1].startswith("-"):
                assert words[1] in program.commands, f"{pages.name(page)}: {words}"
                check_command(program.commands[words[1]], words)
    assert count >= 5


def test_every_link_of_a_page_leads_to_a_file() -> None:
    broken = []
    for page in pages.texts():
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            path = page.parent / target
            if not (path.exists() or path.with_name(path.name + ".md").exists()):
                broken.append(f"{pages.name(page)}: {target}")
    assert broken == []
