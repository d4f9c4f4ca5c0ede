"""What must hold before a training begins; each error says the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from l2zoo.data import check_splits
from l2zoo.regularization.training_step import own_parts
from l2zoo.tasks.checks import (
    OUTPUTS,
    check_classes,
    check_images,
    check_outputs,
    check_place_labels,
    check_places,
    output_shapes,
)
from l2zoo.training.dataset_feed import DatasetFeed, as_parts
from l2zoo.training.feed import ArrayFeed, Feed, ImageFeed, PreparedFeed

_TARGETS = ("label", "labels", "target", "targets", "y", "segmentation_mask", "mask", "class")
_WITHOUT_TARGETS = "which Keras takes for inputs without targets, but the loss needs them"


def check_readable(model: keras.Model, data: Feed, *, epochs: int, name: str = "data") -> None:
    """Raises if data cannot be read as often as there are epochs, or come one example at a time."""
    if getattr(data, "once_only", False) and epochs > 1:
        raise ValueError(
            f"`{name}` is a generator, which can be read once, but {epochs} epochs read it as often: give a "
            "keras.utils.PyDataset, or tf.data.Dataset.from_generator(FUNCTION, output_signature=...), which "
            "calls the function anew for every epoch."
        )
    spec = getattr(getattr(data, "dataset", None), "element_spec", None)
    parts = [part for part in keras.tree.flatten(spec) if hasattr(part, "shape")]
    numbers = any(part.shape.rank == 0 for part in parts)
    if "train_step" not in own_parts(model) and (numbers or _is_an_example(model, spec)):
        shapes = ", ".join(f"shape={tuple(part.shape)}" for part in parts)
        raise ValueError(
            f"`{name}` must be a dataset of batches, got one of single examples, {shapes}. "
            f"Give {name}.batch(32)."
        )


def check_targets(model: keras.Model, loss: Any, data: Feed, *, name: str = "data") -> None:
    """Raises if the loss needs targets and data have none, or none that Keras would take for targets.

    Args:
        model: Any. One with a training step of its own takes whatever it is given.
        loss: That it is compiled with.
        data: What it trains on.
        name: Of the argument.
    """
    if "train_step" in own_parts(model) or loss is None:
        return
    parts = data.zero_batch()
    parts = as_parts(data.first_batch()) if parts is None else parts
    if len(parts) == 1:
        _refuse_without_targets(parts[0], data, name)


def _is_an_example(model: keras.Model, spec: Any) -> bool:
    """Whether the inputs in an element have the very shape that the model takes without a batch."""
    wanted = getattr(model, "input_shape", None)
    inputs = spec[0] if isinstance(spec, tuple) else spec
    shape = getattr(inputs, "shape", None)
    if not isinstance(wanted, tuple) or shape is None or shape.rank != len(wanted) - 1:
        return False
    return None not in shape and None not in wanted[1:] and tuple(shape) == wanted[1:]


def _refuse_without_targets(inputs: Any, data: Feed, name: str) -> None:
    if not isinstance(inputs, Mapping):
        raise ValueError(
            f"`{name}` has one part, {_WITHOUT_TARGETS}: give (x, y), or compile the model with loss=None "
            "and let it add losses of its own."
        )
    keys = list(inputs)
    target = next((key for key in _TARGETS if key in keys), keys[-1])
    inside = next((key for key in keys if key != target), keys[0])
    if isinstance(data, ArrayFeed):
        step = f"give ({name}[{inside!r}], {name}[{target!r}])"
    elif isinstance(data, DatasetFeed) and hasattr(data.dataset, "map"):
        step = f"give {name}.map(lambda row: (row[{inside!r}], row[{target!r}])); of TFDS, as_supervised=True"
    else:
        step = f"let it give pairs, (row[{inside!r}], row[{target!r}])"
    raise ValueError(f"`{name}` gives dicts with {keys}, {_WITHOUT_TARGETS}: {step}.")


def check_inputs(model: keras.Model, data: Feed) -> None:
    """Raises if the model is for images of another shape."""
    zeros = data.zero_batch()
    if zeros is not None and hasattr(zeros[0], "shape"):
        check_images(model, zeros[0].shape[1:])


def check_optimizer(model: keras.Model, optimizer: Any) -> None:
    """Raises if an optimizer has the state of other weights than those that train now."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # that of mixed precision is around it
    known = {id(v) for v in getattr(optimizer, "_trainable_variables", ())}
    if not known or "train_step" in own_parts(model):
        return
    train = {id(v): v.path for v in model.trainable_variables}
    unknown = [path for key, path in train.items() if key not in known]
    # Keras's step on JAX hands over the optimizer's weights by their position.
    if unknown or (keras.backend.backend() == "jax" and len(train) != len(known)):
        which = f", and it does not know {', '.join(unknown[:3])}" if unknown else ""
        raise ValueError(
            f"The optimizer of model {model.name!r} was built for {len(known)} weights, but {len(train)} "
            f"train now{which}: some were frozen or unfrozen since. Compile the model again with a new "
            "optimizer, or give one, fit(..., optimizer='adam')."
        )


def check_validation(data: Feed, validation: Feed) -> None:
    """Raises if validation batches are not like those of the training, or hold images of it."""
    ours, theirs = _images(data), _images(validation)
    if ours is not None and theirs is not None:
        check_splits(ours, theirs, names=("data", "validation"))
    ours, theirs = data.zero_batch(), validation.zero_batch()
    if ours is None or theirs is None:
        return
    for what, mine, its in zip(("inputs", "targets"), ours, theirs, strict=False):
        shapes = [[part.shape[1:] for part in keras.tree.flatten(parts)] for parts in (mine, its)]
        if shapes[0] != shapes[1]:
            one, other = (shape[0] if len(shape) == 1 else shape for shape in shapes)
            raise ValueError(
                f"`validation` must have {what} like the training data, of shape {one} without the batch, "
                f"got {other}. Bring both through the same preparation."
            )


def _images(data: Feed) -> Any:
    """Images or clips that can be compared with others; None for a dataset, or where there are none."""
    if isinstance(data, ImageFeed):
        return data.data
    inputs = data.parts[0] if isinstance(data, ArrayFeed) else None
    return inputs if isinstance(inputs, np.ndarray) and inputs.ndim in (4, 5) else None


def check_labels(model: keras.Model, loss: Any, data: Feed, *, name: str = "data") -> None:
    """Raises if a model answers another task than the data asks, or there are labels it has no output for."""
    if isinstance(data, PreparedFeed):
        _check_prepared(model, data, name)
    if isinstance(data, ArrayFeed) and len(data.parts) > 1:
        check_place_labels(model, data.parts[1], name=name)
    kind = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    kind = kind.replace("_", "").lower()
    shape = output_shapes(model)
    classes = shape[-1] if isinstance(shape, tuple) and isinstance(shape[-1], int) else None
    if classes is not None and kind in ("sparsecategoricalcrossentropy", "categoricalcrossentropy"):
        _check_one_hot(shape, data, one_hot=kind[0] == "c", name=name)
    if kind != "sparsecategoricalcrossentropy" or getattr(loss, "ignore_class", None) is not None:
        return
    images = data.data if isinstance(data, ImageFeed) and not isinstance(data, PreparedFeed) else None
    if images is not None and images.task in OUTPUTS:
        check_outputs(images.task, model)
    if classes is None:
        return
    if images is not None and images.num_classes > classes:
        raise ValueError(
            f"`{name}` has {images.num_classes} classes, but the model has {classes} outputs. "
            f"Build it with num_classes={images.num_classes}."
        )
    labels = _known_labels(data)
    if labels is not None:
        _check_range(labels, classes, name)


def _check_one_hot(shape: tuple[Any, ...], data: Feed, *, one_hot: bool, name: str) -> None:
    """Raises if targets are labels where the loss takes one-hot ones, or the other way round."""
    zeros, classes = data.zero_batch(), shape[-1]
    if zeros is None or len(zeros) < 2 or not hasattr(zeros[1], "shape"):
        return
    found = zeros[1].shape
    same_rank = len(found) == len(shape)
    if not one_hot and same_rank and found[-1] == classes > 1:
        raise ValueError(
            f"`{name}` has one-hot targets of shape {found[1:]}, but the loss takes labels: give "
            "loss='categorical_crossentropy', or y.argmax(axis=-1) as targets."
        )
    if one_hot and len(found) == len(shape) - 1:
        raise ValueError(
            f"`{name}` has labels, but the loss takes one-hot targets: give "
            f"loss='sparse_categorical_crossentropy', or keras.utils.to_categorical(y, {classes}) as targets."
        )
    if one_hot and same_rank and found[-1] != classes:
        raise ValueError(
            f"`{name}` has one-hot targets of {found[-1]} classes, but the model has {classes} outputs. "
            f"Build it with num_classes={found[-1]}."
        )


def _known_labels(data: Feed) -> np.ndarray | None:
    """The labels of arrays; of a dataset those of a batch, where the backend takes wrong ones silently."""
    if isinstance(data, ArrayFeed):
        return np.asarray(data.parts[1])
    in_graph = (
        hasattr(getattr(data, "dataset", None), "element_spec") and keras.backend.backend() == "tensorflow"
    )
    if not isinstance(data, DatasetFeed) or in_graph:
        return None
    parts = as_parts(data.first_batch())
    return np.asarray(parts[1]) if len(parts) > 1 and hasattr(parts[1], "shape") else None


def _check_prepared(model: keras.Model, data: PreparedFeed, name: str) -> None:
    """Raises if the model is not one for the task that has prepared the data."""
    zeros, task = data.zero_batch(), data.task
    if task not in OUTPUTS or zeros is None:
        return
    check_outputs(task, model)
    if isinstance(zeros[1], dict):
        check_places(model, zeros[1]["sides"].shape[1])
    check_classes(model, data.num_classes or zeros[1].shape[-1], who=f"`{name}`")


def _check_range(labels: np.ndarray, classes: int, name: str) -> None:
    if labels.dtype.kind not in "iub":
        return
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        first = tuple(int(n) for n in np.argwhere(wrong)[0])
        position = ", ".join(map(str, first))
        raise ValueError(
            f"Labels in `{name}` must be in [0, {classes}), as the model has {classes} outputs, "
            f"got y[{position}]={labels[first]}. Build the model with more classes, or correct the labels."
        )
