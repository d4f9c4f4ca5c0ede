"""What an artifact says of itself, as far as it is needed to run it: format, task, names, shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from l2zoo.artifacts import task_spec

RUNNABLE = ("tflite", "tflite_fp16", "tflite_dynamic", "tflite_int8")  # the first that is there runs


def chosen(format: str, there: Sequence[str]) -> str:  # noqa: A002
    """The format to run, out of those that are there.

    Raises:
        ValueError: None of them runs here, or the one asked for is not among them.
    """
    runnable = [name for name in RUNNABLE if name in there]
    if not runnable:
        raise ValueError(
            f"The artifact has no TFLite file to run, it has {list(there)}. Export it with "
            'formats=["tflite"], or load the Keras model with `l2zoo.load`.'
        )
    if format == "auto":
        return runnable[0]
    if format not in runnable:
        raise ValueError(
            f'`format` must be "auto" or one of {runnable}, which run here, got format={format!r}. The '
            f"artifact has {list(there)}."
        )
    return format


def task(content: dict[str, Any]) -> str:
    """What the model is for.

    Raises:
        ValueError: The manifest does not say it, or what goes in and comes out is of another task.
    """
    inputs, outputs = content.get("inputs"), content.get("outputs")
    if not inputs or not outputs:
        raise ValueError("The manifest must say what goes in and comes out. Export the model again.")
    found = content.get("task")
    if found is None:
        raise ValueError(
            "The artifact does not say what its model is for. Export it with Card(task=...), one of "
            f"{list(task_spec.TASKS)}."
        )
    known = all(None not in spec["shape"][1:] for spec in [*inputs.values(), *outputs.values()])
    if not known or not task_spec.fits(found, inputs, outputs):
        raise ValueError(
            f"The manifest says that the model is for {found}, but its shapes are those of another, "
            f"{shapes(inputs)} to {shapes(outputs)}. Export the model again."
        )
    return found


def class_names(task: str, content: dict[str, Any]) -> tuple[str, ...]:
    """The names of the classes; their numbers, where each has a place in the output and none has a name.

    Raises:
        ValueError: There are more or fewer than in the output.
    """
    names = content.get("class_names")
    if task not in task_spec.OF_CLASSES:
        return tuple(names or ())
    (spec,) = content["outputs"].values()
    classes = spec["shape"][-1]
    if names is not None and len(names) != classes:
        raise ValueError(f"The manifest names {len(names)} classes of {classes}. Export the model again.")
    return tuple(str(number) for number in range(classes)) if names is None else tuple(names)


def shapes(specs: task_spec.Specs) -> dict[str, list[int | None]]:
    """Shapes without the batch."""
    return {name: spec["shape"][1:] for name, spec in specs.items()}
