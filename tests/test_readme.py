"""The README's examples, pasted one after another as a reader would."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """The code blocks, each with what the README says it prints, or an empty text."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = BLOCK.findall(text.split("## The house")[0])
    return [
        (code, found[i + 1][1] if found[i + 1 : i + 2] and found[i + 1][0] == "text" else "")
        for i, (kind, code) in enumerate(found)
        if kind == "python"
    ]


@pytest.mark.slow
def test_the_examples_run_one_after_another_and_print_what_they_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    examples = blocks()
    assert len(examples) >= 8
    for code, expected in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), names)
        if expected:
            assert printed.getvalue().strip() == expected.strip(), code
    assert (tmp_path / "lambda.png").exists()
    assert (tmp_path / "artifact/model.tflite").exists()


def test_every_path_that_the_readme_names_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    house = re.findall(r"^  (\w+(?:\.py|/))", text.split("## The house")[1], re.MULTILINE)
    assert linked
    assert len(house) >= 10
    missing = [path for path in linked if not (ROOT / path).exists()]
    assert missing + [name for name in house if not (ROOT / "l2zoo" / name).exists()] == []


def test_what_security_md_names_is_there():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:l2zoo|tests|recipes)/[\w/.]+)`", text)
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert len(paths) >= 20
    assert [path for path in {*paths, *linked} if not (ROOT / path).is_file()] == []
