"""What a model is for, and what must go in and come out of one that is for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TASKS = ("classification", "segmentation", "detection", "generation", "video", "regression")
OF_CLASSES = ("classification", "segmentation")  # their answer has a number for each class
BY_SHAPE = ("detection", "generation", "video")  # no other model takes and gives what theirs do
DETECTIONS = {"boxes_xyxy", "scores", "classes"}  # what a detector answers

Specs = Mapping[str, Mapping[str, Any]]
"""Name to `{"shape": [None, ...], "dtype": ...}`."""


def fits(task: str, inputs: Specs, outputs: Specs) -> bool:
    """Whether a model with these inputs and outputs can be for a task.

    Example:
        >>> images, scores = {"shape": [None, 8, 8, 1]}, {"shape": [None, 10]}
        >>> fits("classification", {"images": images}, {"output_0": scores})
        True
    """
    taken, given = _shapes(inputs), _shapes(outputs)
    if task == "generation":
        wanted = {"images": 3, "times": 0, "labels": 0}
        return (
            {"images", "times"} <= set(taken) <= set(wanted)
            and all(len(shape) == wanted[name] for name, shape in taken.items())
            and list(given.values()) == [taken["images"]]
        )
    if task == "video":
        states = set(taken) - {"frame"}
        return (
            len(states) == len(taken) - 1 > 0
            and set(given) == {"next", *states}
            and len(taken["frame"]) == 3
            and given["next"] == taken["frame"]
            and all(given[name] == taken[name] for name in states)
        )
    if len(taken) != 1 or len(image := next(iter(taken.values()))) != 3:
        return False
    if task == "detection":
        boxes = given.get("boxes_xyxy", ())
        return set(given) == DETECTIONS and len(boxes) == 2 and boxes[1] == 4
    if len(given) != 1:
        return False
    (answer,) = given.values()
    if task == "segmentation":
        return len(answer) == 3 and answer[:2] == image[:2]
    return task == "regression" or (task == "classification" and len(answer) == 1)


def infer(inputs: Specs, outputs: Specs, candidates: Sequence[str]) -> str | None:
    """The first of some tasks that inputs and outputs are those of, if there is one.

    An output for each image or pixel may be anything, such as a temperature: classes or values are known by
    what the numbers mean alone.
    """
    return next((task for task in candidates if fits(task, inputs, outputs)), None)


def _shapes(specs: Specs) -> dict[str, Sequence[int | None]]:
    """Shapes without the batch."""
    return {name: tuple(spec["shape"][1:]) for name, spec in specs.items()}
