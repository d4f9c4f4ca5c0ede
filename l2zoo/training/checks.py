"""What must hold before a training begins; each error says the next step."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from l2zoo.policy import L2Policy
from l2zoo.strength import Strength
from l2zoo.training.feed import ArrayFeed, Feed, ImageFeed, PreparedFeed
from l2zoo.weights import after_reload, coefficients, weights_of


def check_inputs(model: keras.Model, data: Feed) -> None:
    """Raises if the model is for images of another shape."""
    blank, wanted = data.blank(), getattr(model, "input_shape", None)
    if blank is None or not isinstance(wanted, tuple) or isinstance(blank[0], (dict, tuple)):
        return
    found = blank[0].shape[1:]
    # Of another rank, Keras adds or takes off a last axis of 1.
    if len(found) != len(wanted) - 1 or all(w in (None, f) for w, f in zip(wanted[1:], found, strict=True)):
        return
    grey = len(found) == 3 and found[-1] == 1 and wanted[-1] == 3
    step = "Repeat their channel, numpy.repeat(x, 3, axis=-1), or build" if grey else "Resize them, or build"
    raise ValueError(
        f"`data` must have inputs of the model's shape {wanted[1:]}, got {found}"
        f"{', grey images for a colour model' if grey else ''}. {step} the model with input_shape={found}."
    )


def check_validation(data: Feed, validation: Feed) -> None:
    """Raises if validation batches are not like those of the training."""
    ours, theirs = data.blank(), validation.blank()
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
    """Raises if there are labels for which the model has no output, where the loss takes class numbers."""
    kind = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    sparse = kind.replace("_", "").lower() == "sparsecategoricalcrossentropy"
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple):
        return
    classes = shape[-1]
    if not isinstance(classes, int):
        return
    if isinstance(data, PreparedFeed):
        _check_one_hot(data, shape, name)
    if not sparse or getattr(loss, "ignore_class", None) is not None:
        return
    if isinstance(data, ImageFeed) and data.data.num_classes > classes:
        raise ValueError(
            f"`{name}` has {data.data.num_classes} classes, but the model has {classes} outputs. "
            f"Build it with num_classes={data.data.num_classes}."
        )
    if isinstance(data, ArrayFeed):
        _check_range(np.asarray(data.parts[1]), classes, name)


def _check_one_hot(data: PreparedFeed, shape: tuple[int | None, ...], name: str) -> None:
    blank = data.blank()
    if blank is None or isinstance(blank[1], (dict, tuple)):
        return
    wanted: tuple[int, ...] = blank[1].shape
    if len(wanted) == len(shape) and wanted[-1] != shape[-1]:
        raise ValueError(
            f"`{name}` has {wanted[-1]} classes, but the model has {shape[-1]} outputs. "
            f"Build it with num_classes={wanted[-1]}."
        )


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
