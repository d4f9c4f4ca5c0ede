"""What our texts show, taken out of them: blocks of Python with what they print, and commands of the shell.

A block of `python` in a page is run; the blocks of one page one after another, as a reader pastes them, in
one folder. A block of `text` right after it is what it prints. `<!-- not run: REASON -->` before a block
leaves it out, and `<!-- needs: MODULE, MODULE -->` anywhere skips the page where a module is not installed.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(
    r"(?P<left_out><!-- not run: [^\n]+ -->\n+)?^```(?P<kind>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NEEDS = re.compile(r"<!-- needs: ([\w., ]+) -->")


class Block(NamedTuple):
    """A block of Python, the line it begins at, and what the page says that it prints, if it does."""

    code: str
    line: int
    printed: str = ""


def texts() -> list[Path]:
    """README and all pages of the documentation, notebooks too; not what a build has copied there."""
    found = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    own = [path for path in found if "_saved_models" not in path.parts]
    return [ROOT / "README.md", *sorted(own)]


def name(page: Path) -> str:
    """The name of a page, for a test's."""
    return page.relative_to(ROOT).as_posix()


def python_blocks(page: Path) -> list[Block]:
    """What is to be run of a page, in order."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return [Block("".join(cell["source"]), 1) for cell in cells]
    blocks = []
    for here, after in itertools.pairwise([*_FENCE.finditer(text), None]):
        if here["kind"] == "python" and not here["left_out"]:
            follows = (
                after is not None and after["kind"] == "text" and not text[here.end() : after.start()].strip()
            )
            line = text.count("\n", 0, here.start("code")) + 1
            blocks.append(Block(here["code"], line, after["code"] if follows else ""))
    return blocks


def run_blocks(page: Path) -> None:
    """Runs a page's blocks where we are, and compares what they print with what the page says."""
    for module in ",".join(_NEEDS.findall(page.read_text(encoding="utf-8"))).split(","):
        if module.strip():
            pytest.importorskip(module.strip())
    names: dict = {"__name__": "__main__"}
    for block in python_blocks(page):
        run_block(block, names, page)


def run_block(block: Block, names: dict, page: Path) -> None:
    """Runs a block of a page with what the blocks before it have named, and compares what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
    if block.printed:
        assert printed.getvalue().strip() == block.printed.strip(), f"{name(page)}, line {block.line}"


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The command lines of a page's shell blocks that begin with a program, each as its words."""
    for _, words in commands_by_line(page, program):
        yield words


def commands_by_line(page: Path, program: str) -> Iterator[tuple[int, list[str]]]:
    """The same with the line of the page at which the block of each begins.

    A line that ends in a backslash goes on; what stands behind a `#`, a pipe or `&&` does not belong to it.
    """
    text = page.read_text(encoding="utf-8")
    for block in _FENCE.finditer(text):
        if block["kind"] in ("shell", "bash", "sh", "console"):
            for line in block["code"].replace("\\\n", " ").splitlines():
                words = shlex.split(re.split(r" \| | && | > ", line)[0].removeprefix("$ "), comments=True)
                if words[: len(program.split())] == program.split():
                    yield text.count("\n", 0, block.start("code")) + 1, words
