"""Each tutorial is followed from its first line to its last in an empty folder: Python and commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages

FOLDER = pages.ROOT / "docs/tutorials"
TUTORIALS = sorted(set(FOLDER.glob("*.md")) - {FOLDER / "index.md"})
ALIKE = ("classify", "detect", "segment", "lambda-to-phone")  # whose commands and calls are those of recipes


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.sweep if page.stem in ALIKE else ()) for page in TUTORIALS],
    ids=pages.name,
)
def test_a_tutorial_can_be_followed(page: Path, tmp_path, monkeypatch, l2zoo) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    steps: list = [(block.line, block) for block in pages.python_blocks(page)]
    steps += pages.commands_by_line(page, "l2zoo")
    for line, step in sorted(steps, key=lambda one: one[0]):
        if isinstance(step, pages.Block):
            pages.run_block(step, names, page)
        else:
            answer = l2zoo(*step[1:])
            assert answer.status == 0, f"{pages.name(page)}, line {line}: {step}: {answer.err}"


@pytest.mark.parametrize("page", TUTORIALS, ids=pages.name)
def test_a_tutorial_begins_with_pip_and_says_where_own_pictures_go(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.index("pip install l2zoo") < text.index("```python")
    assert "**Put your own" in text
