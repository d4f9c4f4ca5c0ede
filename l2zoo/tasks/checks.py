"""Whether data is what a task is for."""

from __future__ import annotations

from collections.abc import Sequence

from l2zoo.data import ImageData


def check_data(task: str, class_names: Sequence[str], data: ImageData) -> None:
    """Raises if the targets of data are not a task's, or have more classes than the task has names.

    Raises:
        TypeError: `data` is no `ImageData`.
        ValueError: It is for another task, or has other classes.
    """
    if not isinstance(data, ImageData):
        raise TypeError(f"`data` must be an ImageData from l2zoo.data.load, got {type(data).__name__}.")
    if data.task != task:
        raise ValueError(
            f"`data` must have targets for {task}, got {data.name} for {data.task}: "
            f"load it with task={task!r}."
        )
    if data.num_classes > len(class_names):
        raise ValueError(
            f"`data` has {data.num_classes} classes, the task {len(class_names)} `class_names`: "
            "give the task those of its data, class_names=data.class_names."
        )
