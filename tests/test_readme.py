"""The README's examples, pasted one after another as a reader would."""

from __future__ import annotations

import re

import pytest

from tests import pages

README = pages.ROOT / "README.md"


@pytest.mark.slow
def test_the_examples_run_one_after_another_and_print_what_they_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(pages.python_blocks(README)) >= 3
    pages.run_blocks(README)
    assert (tmp_path / "lambda.png").exists()
    assert (tmp_path / "artifact/model.tflite").exists()


def test_the_readme_is_one_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 180


def test_what_security_md_names_is_there():
    text = (pages.ROOT / "SECURITY.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:l2zoo|tests|recipes)/[\w/.]+)`", text)
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert len(paths) >= 20
    assert [path for path in {*paths, *linked} if not (pages.ROOT / path).exists()] == []
