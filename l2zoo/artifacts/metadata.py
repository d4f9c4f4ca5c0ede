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
from l2zoo.artifacts.parity.metrics import has_classes

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
    import keras

    inputs = getattr(model, "input", None)
    if card.class_names is None or not isinstance(inputs, dict) or "labels" not in inputs:
        return
    label = next((layer for layer in model.layers if layer.name == "label"), None)
    if isinstance(label, keras.layers.Embedding) and len(card.class_names) != label.input_dim - 1:
        raise ValueError(
            f"`class_names` must name the {label.input_dim - 1} classes that the model draws, got "
            f"{len(card.class_names)} names."
        )


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


def task(card: Card, described: Mapping[str, Any], outputs: Outputs) -> str | None:
    """What the model is for, as the card says or as it can be read off what goes in and comes out.

    Raises:
        ValueError: The card says something else.
    """
    sides = described["inputs"], described["outputs"]
    if card.task is None:
        classes = card.class_names is not None or has_classes(next(iter(outputs.values())), None)
        return task_spec.infer(*sides, classes=classes)
    if not task_spec.fits(card.task, *sides):
        shapes = [{name: spec["shape"] for name, spec in side.items()} for side in sides]
        raise ValueError(
            f"`card` must say what the model is for, got task={card.task!r} of a model from {shapes[0]} to "
            f"{shapes[1]}. Export what the task's `deployed` gives."
        )
    return card.task


def int8(source: Source) -> dict[str, Any]:
    """How the int8 file was converted."""
    chosen = source.conversion
    return {
        "io": chosen.int8_io,
        "calibration": "sample" if chosen.calibration is None else "given",
        "calibration_images": min(num_examples(source.calibration), CALIBRATION),
        "allow_float": chosen.allow_float,
    }
