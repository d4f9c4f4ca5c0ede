"""Whether data and models are what a task is for, and what a model predicts of data that it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.data.prepared import Prepared

OUTPUTS = {
    "classification": "of classes (B, K)",
    "segmentation": "of classes (B, H, W, K)",
    "detection": "'class_logits' (B, N, K), 'sides' and 'centerness_logits'",
}


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


def prepare_as_is(task: str, data: ImageData, columns: int, *, augment: str) -> Prepared:
    """Data of numbers or of several labels, for `fit`, as they are.

    Args:
        task: `"regression"` or `"multilabel"`.
        data: Images with such targets.
        columns: How many numbers an image the task has names for.
        augment: `"none"`.

    Raises:
        ValueError: Data for another task or of another number of columns; another augmentation.
    """
    if augment != "none":
        raise ValueError(f"`augment` must be 'none' for {task}, got augment={augment!r}.")
    check_columns(task, data, columns)
    return Prepared(data, lambda images, targets, seed: (images, targets), {"task": task, "augment": augment})


def check_columns(task: str, data: ImageData, columns: int) -> None:
    """Raises unless data is for a task of numbers, with as many an image as the task has names for."""
    if not isinstance(data, ImageData):
        raise TypeError(f"`data` must be an ImageData from l2zoo.data.load, got {type(data).__name__}.")
    if data.task != task:
        raise ValueError(f"`data` must have targets for {task}, got {data.name} for {data.task}.")
    shape = data.arrays()[1].shape
    if (shape[1] if len(shape) > 1 else 1) != columns:
        raise ValueError(
            f"`data` has targets {shape}, but the task has {columns} names, one for each number."
        )


def check_numbers(task: str, model: keras.Model, data: ImageData, columns: int) -> None:
    """Raises unless data is for a task of numbers, and the model answers as many; see `check_columns`."""
    check_columns(task, data, columns)
    shape = output_shapes(model)
    if shape is not None and not (isinstance(shape, tuple) and len(shape) == 2 and shape[1] == columns):
        raise ValueError(
            f"`model` must have outputs (B, {columns}) for {task}, one for each name, got {model.name!r} "
            f"with {shape}."
        )


def check_images(model: keras.Model, found: tuple[int, ...]) -> None:
    """Raises if a model is for images of another shape than `found`, `(H, W, C)`."""
    wanted = getattr(model, "input_shape", None)
    # Of another rank, Keras adds or takes off a last axis of 1.
    if not isinstance(wanted, tuple) or len(found) != len(wanted) - 1:
        return
    if all(w in (None, f) for w, f in zip(wanted[1:], found, strict=True)):
        return
    grey = len(found) == 3 and found[-1] == 1 and wanted[-1] == 3
    step = "Repeat their channel, numpy.repeat(x, 3, axis=-1), or build" if grey else "Resize them, or build"
    raise ValueError(
        f"`data` must have inputs of the model's shape {wanted[1:]}, got {found}"
        f"{', grey images for a colour model' if grey else ''}. {step} the model with input_shape={found}."
    )


def check_outputs(task: str, model: keras.Model) -> None:
    """Raises if a model has the outputs of another task; one that does not tell its outputs passes."""
    shapes = output_shapes(model)
    if shapes is None or _task_of(shapes) == task:
        return
    got = dict(shapes) if isinstance(shapes, Mapping) else shapes
    raise ValueError(
        f"`model` must be for {task}, with outputs {OUTPUTS[task]}, got {model.name!r} with {got}. "
        f"l2zoo.list_models(task={task!r}) names those that are."
    )


def check_classes(model: keras.Model, num_classes: int, *, who: str, binary: bool = False) -> None:
    """Raises if a model knows another number of classes; one that does not tell them passes.

    Args:
        model: With outputs that `check_outputs` passes.
        num_classes: How many it must know.
        who: Has them, for the message.
        binary: Whether one number may stand for two classes.
    """
    shapes = output_shapes(model)
    shape = shapes.get("class_logits") if isinstance(shapes, Mapping) else shapes
    fine = (None, num_classes, 1) if binary and num_classes == 2 else (None, num_classes)
    if shape is not None and shape[-1] not in fine:
        raise ValueError(
            f"{who} has {num_classes} classes, but the model has {shape[-1]}. "
            f"Build it with num_classes={num_classes}."
        )


def check_places(model: keras.Model, count: int) -> None:
    """Raises if a detector with raw outputs has not `count` places."""
    shapes = output_shapes(model)
    found = shapes["sides"][1] if isinstance(shapes, Mapping) and "sides" in shapes else None
    if found not in (None, count):
        raise ValueError(
            f"`strides` of the task stand for {count} places, but the detector has {found}. "
            "Give Detection(strides=...) those of build_detector."
        )


def check_place_labels(model: keras.Model, targets: Any, *, name: str = "data") -> None:
    """Raises if places should see a class that a detector has no output for, which it would take for nothing.

    Args:
        model: Any; those that are no detectors pass.
        targets: Arrays as a detector's losses take them; anything else passes.
        name: What the targets belong to.
    """
    shapes = output_shapes(model)
    if not (isinstance(shapes, Mapping) and isinstance(targets, Mapping) and "class_logits" in targets):
        return
    highest = int(np.max(targets["class_logits"]))
    classes = shapes.get("class_logits", (None,))[-1]
    if classes is not None and highest >= classes:
        raise ValueError(
            f"`{name}` has the class {highest}, but the model knows {classes}, from 0 on. "
            f"Build it with num_classes={highest + 1} or more."
        )


def output_shapes(model: keras.Model) -> Any:
    """The shape of a model's output with the batch, or a dict of them by name; `None` if it does not tell."""
    shape = getattr(model, "output_shape", None)
    if isinstance(shape, tuple):
        return shape
    outputs = getattr(model, "output", None)
    if isinstance(outputs, Mapping):
        return {name: tuple(output.shape) for name, output in outputs.items()}
    return None


def predict_batches(
    model: keras.Model, data: ImageData, *, batch_size: int = 64
) -> Iterator[tuple[Any, Any, Any]]:
    """Images, targets and the model's outputs of one batch after another, as NumPy arrays, in order.

    Raises:
        ValueError: The model is for images of another shape.
    """
    check_images(model, data.image_shape)
    for images, targets in data.batches(batch_size).as_numpy_iterator():
        outputs = model.predict_on_batch(images)
        yield images, targets, keras.tree.map_structure(np.asarray, outputs)


def first_batch(data: ImageData, most: int) -> tuple[Any, Any]:
    """The first images and their targets."""
    return next(data.batches(min(most, data.num_examples)).as_numpy_iterator())


def as_floats(scores: Mapping[str, Any]) -> dict[str, float]:
    """Python's own numbers, for JSON."""
    return {name: float(value) for name, value in scores.items()}


def _task_of(shapes: Any) -> str | None:
    """The task whose outputs have such shapes."""
    if isinstance(shapes, Mapping):
        raw = {"class_logits", "sides", "centerness_logits"} <= set(shapes)
        return "detection" if raw or "boxes_xyxy" in shapes else None
    return {2: "classification", 4: "segmentation"}.get(len(shapes))
