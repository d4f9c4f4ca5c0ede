"""What an output means, read off a model: its last activation, its loss, its answers; or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from l2zoo.regularization.graph import ends_of, node_of
from l2zoo.tasks.output_kind import KINDS, OutputKind, in_unit_range, is_distribution

_REGRESSION = (
    *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "huber", "huber_loss"),
    *("mean_squared_logarithmic_error", "log_cosh", "logcosh", "poisson", "mse", "mae", "mape", "msle"),
)
# What lies between an activation and the output and changes no number of it.
_PASSING = (
    keras.layers.Activation,  # a linear one; others are told before
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
)
_OF_OPERATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax"}


def infer_output_kinds(
    model: keras.Model, answers: Mapping[str, np.ndarray], *, exclusive: bool = False
) -> dict[str, str | None]:
    """The kind of each output, one of `l2zoo.tasks.output_kind.KINDS`, where it can be told.

    The last activation decides; where there is none, the loss with which the model is compiled does; and
    without one, the answers: shares of 1 are probabilities.

    Args:
        model: A built model, compiled or not.
        answers: Its outputs for real inputs, by name, each `(B, ..., K)`.
        exclusive: Whether it is known that one of several classes is said. Then K numbers below 0 or above 1
            are logits.
    """
    activations = _activations(model, list(answers))
    losses = _losses(model, list(answers))
    return {
        name: _infer(activations[name], losses[name], array, exclusive=exclusive)
        for name, array in answers.items()
    }


def exclusive_kind(model: keras.Model, answers: np.ndarray, *, said: str | None = None) -> OutputKind:
    """What a model of which it is known that it says one of several classes gives.

    Args:
        model: With one output.
        answers: Some of its answers, `(B, ..., K)`.
        said: The kind, if somebody has said it.

    Raises:
        ValueError: It cannot be told; the output is of another kind; or the answers are not of the kind.
    """
    name = said or infer_output_kinds(model, {"output": answers}, exclusive=True)["output"]
    if name is None:
        low, high = float(answers.min()), float(answers.max())
        raise ValueError(
            f"`model` must tell what it gives, but whether the answers of {model.name!r}, from {low:.4g} to "
            f"{high:.4g}, are probabilities, logits or sigmoids cannot be told from its last activation and "
            "its loss. Compile it with its loss, or end it with a softmax: keras.Sequential([model, "
            "keras.layers.Softmax()])."
        )
    kind = OutputKind(name)
    if not kind.is_exclusive:
        raise ValueError(
            f"`model` must say one of several classes, but {model.name!r} gives {KINDS[name]} ({name!r})."
        )
    kind.check_width(answers.shape[-1])
    kind.check_answers(answers)
    return kind


def check_probabilities(model: keras.Model) -> None:
    """Raises if a model surely gives logits: the losses of `l2zoo.tasks` take probabilities.

    Keras would train it without a word, and badly. A model that does not tell what it ends with passes.

    Raises:
        ValueError: It ends without an activation; the message says what to change.
    """
    (activation,) = _activations(model, ["output"]).values()
    if activation in ("linear", "log_softmax"):
        raise ValueError(
            "`build` must give a model of probabilities, as the loss of the task takes, got "
            f"{model.name!r}, which "
            'ends without a softmax. Add one: keras.layers.Softmax(dtype="float32").'
        )


def _infer(activation: str | None, loss: str | None, answers: np.ndarray, *, exclusive: bool) -> str | None:
    """The kind of one output.

    Args:
        activation: The last one, if there is one that is known.
        loss: `"categorical"`, `"binary"`, either with `"_logits"`, `"regression"`, `"other"`, or None.
        answers: `(B, ..., K)`.
        exclusive: As in `infer_output_kinds`.
    """
    if answers.dtype.kind != "f" or answers.ndim < 2:
        return None
    one, distribution = answers.shape[-1] == 1, is_distribution(answers)
    alone = "binary" if one else "multilabel"
    if activation == "softmax":
        return "probabilities"
    if activation in ("sigmoid", "hard_sigmoid"):
        if loss == "regression":  # of shares, such as the pixels of an autoencoder
            return alone if exclusive and one else None if exclusive else "values"
        return None if loss == "categorical" and not one else alone
    if activation == "log_softmax" or loss == "categorical_logits":
        return None if one else "logits"
    if loss == "binary_logits":
        return f"{alone}_logits"
    if loss == "categorical":
        return "probabilities" if distribution else None
    if loss == "binary":
        return alone if in_unit_range(answers) else None
    if activation is None and distribution:
        return "probabilities"
    if exclusive:  # numbers beyond [0, 1] are no probabilities; those within may be
        known = loss is None and activation in (None, "linear") and not in_unit_range(answers)
        return ("binary_logits" if one else "logits") if known else None
    if loss == "regression":
        return "values"
    return "probabilities" if distribution else None


def _losses(model: keras.Model, names: list[str]) -> dict[str, str | None]:
    """In the words of `_infer`, what a model is trained by, for each of its outputs."""
    given = getattr(model, "loss", None)
    if isinstance(given, Mapping):
        each = [given.get(name) for name in names] if len(names) > 1 else list(given.values())
    else:
        each = list(given) if isinstance(given, list | tuple) else [given]
    each = each if len(each) == len(names) else [None] * len(names)
    return dict(zip(names, map(_loss, each), strict=True))


def _loss(given: Any) -> str | None:
    if given is None:
        return None
    if isinstance(given, str):
        name, from_logits = given.lower(), False
    else:
        config = given.get_config() if isinstance(given, keras.losses.Loss) else {}
        name = str(config.get("name") or getattr(given, "__name__", ""))
        name = name if type(given).__module__.startswith("keras.") or not config else _own(given)
        from_logits = bool(config.get("from_logits", False))
    name = _snake(name)
    if name in _REGRESSION:
        return "regression"
    if "crossentropy" not in name:
        return "other"
    return ("binary" if name.startswith("binary") else "categorical") + ("_logits" if from_logits else "")


def _own(loss: keras.losses.Loss) -> str:
    """The name of the loss of Keras's that a class of somebody's extends, which its `name` need not be."""
    parents = [one.__name__ for one in type(loss).__mro__ if one.__module__.startswith("keras.")]
    return parents[0] if parents[0] != "Loss" else ""


def _snake(name: str) -> str:
    """As Keras names its losses: `BinaryCrossentropy` is `binary_crossentropy`."""
    parts = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return parts.lstrip("_")


def _activations(model: keras.Model, names: list[str]) -> dict[str, str | None]:
    """The last activation before each output, `"linear"` if there is none; None where it cannot be told."""
    outputs = symbolic_outputs(model)
    if len(outputs) != len(names):
        return dict.fromkeys(names)
    if set(outputs) != set(names):
        outputs = dict(zip(names, outputs.values(), strict=True))
    return {name: _activation(outputs[name]) for name in names}


def symbolic_outputs(model: keras.Model) -> dict[str, Any]:
    """The outputs of a model of layers, by their names or numbered; none of a model that does not tell."""
    tensors = getattr(model, "outputs", None) or []
    given = getattr(model, "output", None) if not isinstance(model, keras.Sequential) else None
    if isinstance(given, Mapping):
        return dict(given)
    return {f"output_{i}": one for i, one in enumerate(tensors)}


def _activation(tensor: Any) -> str | None:
    """The last activation before a symbolic tensor."""
    while tensor is not None:
        node = node_of(tensor)
        place = next(i for i, one in enumerate(node.outputs) if one is tensor)
        _, inner = ends_of(node.operation)
        found = "passing" if inner else _of_operation(node.operation, tensor)
        if found != "passing":
            return found
        before = inner[place : place + 1] or node.arguments.keras_tensors
        tensor = before[0] if before else None
    return None


def _of_operation(operation: Any, tensor: Any) -> str | None:
    """What an operation ends with; `"passing"` if it is no matter, None if it is not known."""
    if isinstance(operation, keras.layers.Softmax) or type(operation).__name__ in _OF_OPERATIONS:
        name = _OF_OPERATIONS.get(type(operation).__name__, "softmax")
        axis = getattr(operation, "axis", -1)
        last = name == "sigmoid" or axis in (-1, len(tensor.shape) - 1)
        return name if last else None
    activation = getattr(operation, "activation", None)
    called: str | None = getattr(activation, "__name__", None)
    if isinstance(operation, _PASSING):
        return "passing" if called in (None, "linear") else called
    return called if isinstance(operation, keras.layers.Layer) else None
