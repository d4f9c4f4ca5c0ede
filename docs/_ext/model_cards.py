"""The cards of the saved models become pages: copied to `docs/_saved_models` before Sphinx looks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

LISTED = b"\n```{toctree}\n:hidden:\n:glob:\n\n*/README\n```\n"


def copy_cards(app: Sphinx) -> None:
    """Copies the table of the saved models, the cards and their pictures, those that changed."""
    origin, copies = Path(app.srcdir).parent / "saved_models", Path(app.srcdir) / "_saved_models"
    for path in (origin / "README.md", *origin.glob("*/README.md"), *origin.glob("*/picture.*")):
        copy = copies / path.relative_to(origin)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.stat().st_mtime < path.stat().st_mtime:
            content = path.read_bytes() + (LISTED if path.parent == origin else b"")
            copy.write_bytes(content)


def setup(app: Sphinx) -> dict[str, Any]:
    """Asks Sphinx to be called before it reads."""
    app.connect("builder-inited", copy_cards)
    return {"version": "1", "parallel_read_safe": True}
