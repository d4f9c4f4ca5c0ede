"""`labels.txt`: a class name a line, in the order of the output, as apps and other runtimes read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2zoo.tasks.output_kind import OutputKind

FILE = "labels.txt"


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes the class names of an artifact, if its model answers with classes.

    Args:
        folder: The artifact's.
        content: What goes into its manifest.
    """
    first = next(iter(content["outputs"].values()))  # of several, none says what it means
    names = class_names(content, OutputKind.of_spec(first)) if content["task"] is not None else ()
    if names:
        (folder / FILE).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def class_names(content: Mapping[str, Any], kind: OutputKind | None) -> tuple[str, ...]:
    """The names of the classes; their numbers, where each has a place in the output and none has a name.

    Args:
        content: A manifest.
        kind: What the lone output means, if it is one of an image's classes, pixels or values.

    Raises:
        ValueError: There are more or fewer than in the output.
    """
    names = content.get("class_names")
    if kind is None or kind.name == "values":
        return tuple(names or ())
    (spec,) = content["outputs"].values()
    classes = kind.num_classes(spec["shape"][-1])
    if names is not None and len(names) != classes:
        raise ValueError(f"The manifest names {len(names)} classes of {classes}. Export the model again.")
    return tuple(str(number) for number in range(classes)) if names is None else tuple(names)
