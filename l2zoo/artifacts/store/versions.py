"""Manifests of older versions in today's words.

Version 1 had one input, `input`, and one limit for each format, `parity.tolerance`, on the largest absolute
difference. Version 2 has `inputs` by name, and limits by figure: `parity.limits` held when the artifact was
written, `verify` is asked of the few inputs that it keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words_of_2(content: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of version 1 as one of version 2; what is not in it is left out, for `verify` to see."""
    found = dict(content)
    taken, formats = found.pop("input", None), found.get("formats")
    if isinstance(taken, dict) and isinstance(taken.get("name"), str):
        found["inputs"] = {taken["name"]: {key: value for key, value in taken.items() if key != "name"}}
    if isinstance(formats, dict):
        found["formats"] = {name: _row(row) for name, row in formats.items()}
    return found


def _row(row: Any) -> Any:
    parity = row.get("parity") if isinstance(row, dict) else None
    if not isinstance(parity, dict) or "tolerance" not in parity:
        return row
    limits = {"max_abs_diff": parity["tolerance"]}
    kept = {key: value for key, value in parity.items() if key != "tolerance"}
    return {**row, "parity": {**kept, "metrics": {}, "limits": limits}, "verify": limits}
