"""What a manifest says beyond its files: what was told, and what is true of model and machine."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import math
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import l2zoo
from l2zoo.artifacts import manifest, task_spec
from l2zoo.artifacts.card import Card
from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.formats.tflite import CALIBRATION
from l2zoo.artifacts.inputs import IMAGES, Inputs, Outputs, input_signature, num_examples, takes_names
from l2zoo.tasks.output_kind import KINDS, OutputKind, check_threshold
from l2zoo.utils.validation import known_names

if TYPE_CHECKING:
    import keras

_PACKAGES = {"keras": "keras", "tensorflow": "tensorflow", "numpy": "numpy", "litert": "ai-edge-litert"}


def describe(model: keras.Model, card: Card, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What is known before anything is written."""
    from l2zoo.regularization.audit import audit

    _check_drawn_classes(model, card)
    found = audit(model)
    now = datetime.datetime.now(datetime.UTC)
    return {
        "format_version": manifest.VERSION,
        "name": card.name or model.name,
        "created": now.isoformat(timespec="seconds"),
        "versions": versions(),
        "about": card.about,
        "data": card.data,
        "privacy": card.privacy,
        "class_names": None if card.class_names is None else [str(name) for name in card.class_names],
        "aspect": card.aspect or "stretch",
        "metrics": _numbers("metrics", metrics),
        "l2": {
            "summary": found.summary,
            "penalty": float(found.penalty),
            "problems": [str(one) for one in found.problems],
        },
    }


def _check_drawn_classes(model: keras.Model, card: Card) -> None:
    """Raises if a denoiser is given other than one name for each of its classes.

    Whoever draws with the files knows the number of classes by the names alone, and "any" comes behind them.
    """
    classes = drawn_classes(model)
    if card.class_names is not None and classes not in (None, len(card.class_names)):
        raise ValueError(
            f"`class_names` must name the {classes} classes that the model draws, got "
            f"{len(card.class_names)} names."
        )


def drawn_classes(model: keras.Model) -> int | None:
    """How many classes a denoiser knows; None of one without, and of other models."""
    import keras

    inputs = getattr(model, "input", None)
    if not isinstance(inputs, dict) or "labels" not in inputs:
        return None
    label = next((layer for layer in model.layers if layer.name == "label"), None)
    return label.input_dim - 1 if isinstance(label, keras.layers.Embedding) else None


def versions() -> dict[str, str]:
    """Of Python, of l2zoo, and of the packages on which an artifact's answers depend, as installed here.

    One that is installed under another name, such as a TensorFlow for the CPU alone, is left out.
    """
    installed = {"l2zoo": l2zoo.__version__, "python": platform.python_version()}
    for name, package in _PACKAGES.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(package)
    return installed


def _numbers(name: str, value: Any) -> Any:
    """Numbers, and mappings of them, as JSON knows them."""
    if isinstance(value, Mapping):
        return {str(key): _numbers(f"{name}[{key!r}]", one) for key, one in value.items()}
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise TypeError(f"`{name}` must be a number or numbers by name, got {value!r}.")
    if not math.isfinite(plain):
        raise ValueError(f"`{name}` must be finite, got {value!r}.")
    return plain


def interface(model: keras.Model, inputs: Inputs, outputs: Outputs) -> dict[str, Any]:
    """Names, shapes and dtypes of what goes in and comes out; None is the open batch.

    `takes_names` says whether Keras calls the model with a dict.
    """
    taken = {
        name: {"shape": list(shape), "dtype": dtype}
        for name, (shape, dtype) in input_signature(inputs).items()
    }
    if list(taken) == [IMAGES]:  # and was checked to be so
        taken[IMAGES]["range"] = [0, 255]
    return {
        "inputs": taken,
        "takes_names": takes_names(model, inputs),
        "outputs": {
            name: {"shape": [None, *array.shape[1:]], "dtype": array.dtype.name}
            for name, array in outputs.items()
        },
    }


def meaning(
    model: keras.Model, card: Card, described: Mapping[str, Any], outputs: Outputs
) -> tuple[str | None, dict[str, OutputKind]]:
    """What the model is for, and what its outputs mean, as the card says or as it can be told.

    Args:
        model: The model, whose last activation and loss tell what it gives.
        card: What it says comes first, and is compared with the answers.
        described: What `interface` gave.
        outputs: The model's answers to some real inputs.

    Returns:
        The task, and the kind of each output of which it is known.

    Raises:
        ValueError: The card says something else than shapes or answers; or it says that there are classes,
            and nobody can tell which of them an answer means.
    """
    sides = described["inputs"], described["outputs"]
    task = card.task or task_spec.infer(*sides, task_spec.BY_SHAPE)
    if task is not None and not task_spec.fits(task, *sides):
        shapes = [{name: spec["shape"] for name, spec in side.items()} for side in sides]
        raise ValueError(
            f"`card` must say what the model is for, got task={task!r} of a model from {shapes[0]} to "
            f"{shapes[1]}. Export what the task's `deployed` gives."
        )
    if task in task_spec.BY_SHAPE:
        if card.output_kind is not None or card.threshold is not None:
            raise ValueError(
                f"`output_kind` and `threshold` are for images, pixels and values, not for {task}."
            )
        return task, {}
    kinds = _kinds(model, card, outputs)
    if task is None and len(outputs) == 1 and kinds:
        (kind,) = kinds.values()
        # Of pixels only the card tells a mask from a picture.
        sure = kind.name in ("probabilities", "logits") or card.class_names is not None
        classes = task_spec.OF_CLASSES if sure else ("classification",)
        task = task_spec.infer(*sides, ("regression",) if kind.name == "values" else classes)
    return task, kinds


def _kinds(model: keras.Model, card: Card, outputs: Outputs) -> dict[str, OutputKind]:
    """The kind of each output of which it is known, held against its answers."""
    from l2zoo.tasks.infer_output_kind import infer_output_kinds

    names = _names_of_kinds(card, outputs)
    exclusive = card.task in task_spec.OF_CLASSES or card.class_names is not None
    found = infer_output_kinds(model, outputs, exclusive=exclusive)
    if card.task == "regression":
        found = dict.fromkeys(outputs, "values")
    found.update(names)
    kinds = {}
    for name, kind in found.items():
        if kind is None:
            if exclusive and len(outputs) == 1:
                raise ValueError(_question(name, outputs[name]))
            continue
        _check_task(card.task, kind)
        has_threshold = kind not in ("probabilities", "logits", "values") and card.threshold is not None
        threshold = {"threshold": check_threshold(card.threshold)} if has_threshold else {}
        kinds[name] = OutputKind(kind, **threshold)
        named = None if card.class_names is None or len(outputs) > 1 else len(card.class_names)
        kinds[name].check_width(outputs[name].shape[-1], named)
        kinds[name].check_answers(outputs[name])
    if card.threshold is not None and not any(one.has_threshold for one in kinds.values()):
        raise ValueError(
            f"`threshold` is for outputs that are binary or multilabel, got threshold={card.threshold} for "
            f"outputs {found}. Leave it out, or say what they are: Card(output_kind=...)."
        )
    return kinds


def _names_of_kinds(card: Card, outputs: Outputs) -> dict[str, str]:
    """What the card says of outputs, by their names."""
    given = card.output_kind
    if given is None:
        return {}
    if isinstance(given, str):
        if len(outputs) > 1:
            raise ValueError(
                f"`output_kind` must say what each output means, by its name, {sorted(outputs)}, got "
                f"{given!r}."
            )
        return dict.fromkeys(outputs, given)
    known_names("output_kind", given, sorted(outputs))
    return dict(given)


def _check_task(task: str | None, kind: str) -> None:
    if task is not None and (task == "regression") != (kind == "values"):
        raise ValueError(
            f"`card` says task={task!r}, but the output is {kind!r}, {KINDS[kind]}. Change one of them: "
            "Card(task=..., output_kind=...)."
        )


def _question(name: str, answers: np.ndarray) -> str:
    """What is asked when an output could mean one thing or another."""
    return (
        f"The output {name!r} has classes, but whether its numbers are probabilities, logits or sigmoids "
        "cannot be told from the model's last activation, its loss and its answers, which run from "
        f"{float(answers.min()):.4g} to {float(answers.max()):.4g}. Say it: Card(output_kind=...), one of "
        f"{list(KINDS)}."
    )


def int8(source: Source) -> dict[str, Any]:
    """How the int8 file was converted."""
    chosen = source.conversion
    return {
        "io": chosen.int8_io,
        "calibration": "sample" if chosen.calibration is None else "given",
        "calibration_images": min(num_examples(source.calibration), CALIBRATION),
        "allow_float": chosen.allow_float,
    }
