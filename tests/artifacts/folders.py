"""What tests do with the folder of an artifact: a manifest that lies, the code in the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest


def rewrite(folder: Path, **changes: Any) -> None:
    """Writes the manifest again with other entries, and with the files as they are now."""
    content = {**manifest.read(folder), "files": manifest.file_table(folder), **changes}
    del content["sha256"]
    manifest.write(folder, content)


def cards_code(folder: Path) -> list[str]:
    """The blocks of Python in an artifact's card; the first reads the inputs."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```python\n")[1:]]
