"""The notebook of the documentation is one that Jupyter opens; it runs with the other pages."""

from __future__ import annotations

import json

from tests import pages

NOTEBOOK = pages.ROOT / "docs/quickstart.ipynb"
FIELDS = {"code": {"execution_count", "outputs"}, "markdown": set()}


def test_the_notebook_is_one_that_jupyter_opens_and_holds_no_outputs() -> None:
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    for cell in book["cells"]:
        assert cell.keys() == {"cell_type", "id", "metadata", "source", *FIELDS[cell["cell_type"]]}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def test_its_cells_are_plain_python_without_what_only_jupyter_knows() -> None:
    blocks = pages.python_blocks(NOTEBOOK)
    assert len(blocks) >= 5
    for block in blocks:
        compile(block.code, NOTEBOOK.name, "exec")
