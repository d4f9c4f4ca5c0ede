"""What a manifest may claim: the form of everything that is read out of it, for whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from l2zoo.artifacts import task_spec

_DTYPES = {"inputs": ("float32", "int32"), "outputs": ("float32", "float16", "int32", "int64", "bool")}


def check(content: Mapping[str, Any]) -> None:
    """Looks at the form of a manifest's entries; one that is missing is another's matter.

    The tables `files` and `formats` are looked at where they are used.

    Raises:
        ValueError: An entry is of another form than `export` writes; the message says which.
    """
    _want(isinstance(content.get("name"), str), "name", "a text", content.get("name"))
    names = content.get("class_names")
    _want(names is None or _texts(names), "class_names", "null or a list of texts", names)
    task = content.get("task")
    known = task is None or (isinstance(task, str) and task in task_spec.TASKS)
    _want(known, "task", f"null or one of {list(task_spec.TASKS)}", task)
    versions = content.get("versions")
    fine = versions is None or (isinstance(versions, dict) and _texts(list(versions.values())))
    _want(fine, "versions", "texts by name", versions)
    for side, dtypes in _DTYPES.items():
        if side in content:
            specs = content[side]
            fine = isinstance(specs, dict) and all(_is_spec(spec, dtypes) for spec in specs.values())
            _want(fine and bool(specs), side, "shape and dtype by name", specs)


def _is_spec(spec: Any, dtypes: Sequence[str]) -> bool:
    if not isinstance(spec, dict) or spec.get("dtype") not in dtypes:
        return False
    shape = spec.get("shape")
    return isinstance(shape, list) and bool(shape) and all(map(_is_size, shape))


def _is_size(size: Any) -> bool:
    return size is None or (type(size) is int and size >= 0)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _want(fine: bool, entry: str, form: str, value: Any) -> None:
    if not fine:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:80] + "..."
        raise ValueError(f"`{entry}` in the manifest must be {form}, got {shown}. Export the model again.")
