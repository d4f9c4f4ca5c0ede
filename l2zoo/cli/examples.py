"""The images on which a model is exported: of its task, in its size, with what is right for each."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from l2zoo.artifacts import task_spec

if TYPE_CHECKING:
    import keras

TASKS = ("classification", "segmentation", "detection")
_RAW = {"class_logits", "sides", "centerness_logits"}  # of a detector that is not `deployed` yet


class Source(NamedTuple):
    """Where images come from: data, which split of it, and where TFDS keeps it."""

    data: str
    split: str
    data_dir: Path | None


class Examples(NamedTuple):
    """Inputs with targets, their task, and what a card says of it if the classes of data and model agree."""

    inputs: Any
    targets: Any
    task: Any
    card: dict[str, Any] | None


def load_examples(
    model: keras.Model, task: str, source: Source, most: int, output_kind: str | None = None
) -> Examples:
    """The first images of some data, as a model takes them.

    Args:
        model: Whose output is judged by what it tells of it, unless `output_kind` says it.
        task: One of `TASKS`.
        source: The data.
        most: How many images.
        output_kind: What the output means.

    Raises:
        ValueError: The model is not for the task, or there are no such data.
    """
    check_task(model, task)
    from l2zoo import tasks
    from l2zoo.data import load

    size = tuple(model.inputs[0].shape[1:3])
    image_size = None if None in size else size
    data = load(source.data, source.split, task=task, data_dir=source.data_dir, image_size=image_size)
    kinds = dict(zip(TASKS, (tasks.Classification, tasks.Segmentation, tasks.Detection), strict=True))
    goal = kinds[task](data.class_names)
    card: dict[str, Any] = {
        "task": task,
        "class_names": data.class_names,
        "data": f"Compared on {data.name} {data.split}.",
    }
    classes = _num_classes(model, task)
    same = classes in (None, data.num_classes) or (
        task != "detection" and (classes, data.num_classes) == (1, 2)
    )
    if same and task != "detection":
        goal = dataclasses.replace(goal, output_kind=output_kind).judging(model, data)
        card["output_kind"] = goal.output_kind
    elif output_kind is not None:
        card["output_kind"] = output_kind
    inputs, targets = goal.examples(model, data, most)
    return Examples(inputs, targets, goal, card if same else None)


def check_task(model: keras.Model, task: str) -> None:
    """Looks at what goes into a model and comes out of it.

    Raises:
        ValueError: The model does not tell, or is not for the task.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"MODEL must be functional or sequential, got {model.name!r}, a {type(model).__name__}: it "
            "does not tell what it takes. Export it from Python: l2zoo.export(model, folder, sample=images)."
        )
    if _is_for(model, task):
        return
    others = [other for other in TASKS if _is_for(model, other)]
    hint = f" Try --task {others[0]}." if others else " Export it from Python, with `l2zoo.export`."
    shapes = [
        {name: spec["shape"] for name, spec in side.items()} for side in (_inputs(model), _outputs(model))
    ]
    raise ValueError(f"MODEL must be for {task}, got {model.name!r} from {shapes[0]} to {shapes[1]}.{hint}")


def _is_for(model: keras.Model, task: str) -> bool:
    inputs, outputs = _inputs(model), _outputs(model)
    if task == "detection" and set(outputs) == _RAW:
        return [len(spec["shape"]) for spec in inputs.values()] == [4]
    return task_spec.fits(task, inputs, outputs)


def _inputs(model: keras.Model) -> task_spec.Specs:
    return {one.name: {"shape": list(one.shape)} for one in model.inputs}


def _outputs(model: keras.Model) -> task_spec.Specs:
    from l2zoo.tasks.infer_output_kind import symbolic_outputs

    return {name: {"shape": list(one.shape)} for name, one in symbolic_outputs(model).items()}


def _num_classes(model: keras.Model, task: str) -> int | None:
    """How many classes a model tells apart; final boxes do not tell."""
    outputs = _outputs(model)
    spec = outputs.get("class_logits") if task == "detection" else next(iter(outputs.values()))
    return None if spec is None else spec["shape"][-1]
