"""What a benchmark has measured: values by their names, a line each in a file that the next run adds to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2zoo.utils.storage.files import replacing

FOLDER = Path(__file__).parent / "measured"


class Measured:
    """The values in a file; each is on disk as soon as it is added.

    Trainings take hours, what they say is a few hundred numbers: these are among the sources, so that a table
    can be made, checked and gone on with by somebody who has not the trained models.
    """

    def __init__(self, path: Path):
        self.path = path
        self._values: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def get(self, name: str) -> Any:
        """The value of a name, None where there is none."""
        return self._values.get(name)

    def add(self, values: Mapping[str, Any]) -> None:
        """Keeps values; those of the same names are replaced."""
        self._values |= values
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{json.dumps(name)}: {json.dumps(self._values[name])}" for name in sorted(self._values)]
        with replacing(self.path) as temporary:
            temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")
