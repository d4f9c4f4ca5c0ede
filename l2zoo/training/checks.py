"""What must hold before a training begins; each error says the next step."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.saved_penalty import after_reload
from l2zoo.regularization.strength import Strength
from l2zoo.regularization.weights import coefficients, weights_of
from l2zoo.tasks.checks import (
    OUTPUTS,
    check_classes,
    check_images,
    check_outputs,
    check_place_labels,
    check_places,
    output_shapes,
)
from l2zoo.training.feed import ArrayFeed, Feed, ImageFeed, PreparedFeed


def check_inputs(model: keras.Model, data: Feed) -> None:
    """Raises if the model is for images of another shape."""
    zeros = data.zero_batch()
    if zeros is not None and not isinstance(zeros[0], (dict, tuple)):
        check_images(model, zeros[0].shape[1:])


def check_validation(data: Feed, validation: Feed) -> None:
    """Raises if validation batches are not like those of the training."""
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


def check_labels(model: keras.Model, loss: Any, data: Feed, *, name: str = "data") -> None:
    """Raises if a model answers another task than the data asks, or there are labels it has no output for."""
    if isinstance(data, PreparedFeed):
        _check_prepared(model, data, name)
    if isinstance(data, ArrayFeed):
        check_place_labels(model, data.parts[1], name=name)
    kind = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    sparse = kind.replace("_", "").lower() == "sparsecategoricalcrossentropy"
    if not sparse or getattr(loss, "ignore_class", None) is not None:
        return
    images = data.data if isinstance(data, ImageFeed) and not isinstance(data, PreparedFeed) else None
    if images is not None and images.task in OUTPUTS:
        check_outputs(images.task, model)
    shape = output_shapes(model)
    if not isinstance(shape, tuple) or not isinstance(classes := shape[-1], int):
        return
    if images is not None and images.num_classes > classes:
        raise ValueError(
            f"`{name}` has {images.num_classes} classes, but the model has {classes} outputs. "
            f"Build it with num_classes={images.num_classes}."
        )
    if isinstance(data, ArrayFeed):
        _check_range(np.asarray(data.parts[1]), classes, name)


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


def check_penalty(model: keras.Model, policy: L2Policy | None) -> None:
    """Raises if a penalty was asked for and the loss gets none; warns of weights that miss theirs.

    Args:
        model: A built model.
        policy: What `fit` applied, `None` if it was not asked to.
    """
    weights = weights_of(model)
    counted = any(w.variable.trainable and w.variable.regularizer is not None for w in weights)
    frozen = [w for w in weights if not w.variable.trainable and w.variable.regularizer is not None]
    none = coefficients(None)
    pairs = zip(weights, after_reload(weights), strict=True)
    silent = [w.path for w, after in pairs if w.variable.regularizer is None and after != none]
    no_effect = (
        "A regularizer assigned to a built layer does nothing until the model is saved and loaded: "
        "use L2Policy(strength).apply(model) instead."
    )
    if counted:
        if silent:
            warnings.warn(
                f"These weights train without the penalty of their layer: {silent}. {no_effect}", stacklevel=3
            )
        return
    nothing = f"Model {model.name!r} was given an L2 penalty, but none reaches its loss: "
    if frozen:
        raise ValueError(
            f"{nothing}all {len(frozen)} weights that carry one are frozen. Unfreeze them (trainable=True), "
            "or take the penalty off with L2Policy.remove(model)."
        )
    if silent:
        raise ValueError(f"{nothing}it is set on the layers of {silent}, not on the weights. {no_effect}")
    if policy is not None and _penalises(policy):
        raise ValueError(
            f"{nothing}{policy!r} gives every weight the factor 0. Change its multipliers or overrides, "
            "or use l2=None."
        )


def _penalises(policy: L2Policy) -> bool:
    live = isinstance(policy.strength, Strength)
    return not policy.decoupled and (live or float(policy.strength) > 0 or policy.l1 > 0)
