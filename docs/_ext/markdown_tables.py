"""Tables of docstrings, which are written as Markdown has them, become those of reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sphinx.application import Sphinx


def translate(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring, each Markdown table as a `list-table`; the rest as it is."""
    for is_row, group in groupby(lines, key=lambda line: line.startswith("| ") or line.startswith("|-")):
        if not is_row:
            yield from group
            continue
        yield from (".. list-table::", "   :header-rows: 1", "")
        for row in group:
            if not re.fullmatch(r"[|\-: ]+", row):
                cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
                yield from (f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells))
        yield ""


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = translate(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Asks autodoc for every docstring, after napoleon."""
    app.connect("autodoc-process-docstring", _process, priority=900)
    return {"version": "1", "parallel_read_safe": True}
