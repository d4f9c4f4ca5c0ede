"""Trained weights for a builder, out of an artifact of the same architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifacts import manifest, probe, trust
from l2zoo.artifacts.store import locations
from l2zoo.utils.storage.folders import read_whole
from l2zoo.utils.validation import did_you_mean

if TYPE_CHECKING:
    import keras
    import numpy as np


def load_weights(
    model: keras.Model, weights: str | None, *, architecture: str, head: str | None = None
) -> keras.Model:
    """The model with trained weights in it, if any are asked for. Its penalty stays as it is.

    Args:
        model: Just built.
        weights: `"digits"` for the saved model `ARCHITECTURE_digits`, an artifact's folder, or None.
        architecture: What the saved models of this builder are called before the underscore.
        head: The last layer with weights, which the model may be built without; None if it always has it.

    Returns:
        The same model.

    Raises:
        TypeError: `weights` is no text.
        FileNotFoundError: There is no such artifact; the message says which there are.
        ValueError: It is damaged, or of other classes, channels or widths than the model.
    """
    if weights is None:
        return model
    if not isinstance(weights, str):
        raise TypeError(f"`weights` must be a name, a folder or None, got {type(weights).__name__}.")
    there = {
        name.removeprefix(f"{architecture}_"): folder
        for name, folder in locations.saved_models().items()
        if name.startswith(f"{architecture}_")
    }
    if weights not in there and not (Path(weights) / manifest.FILE).is_file():
        raise FileNotFoundError(
            f"`weights` must be {_names(sorted(there), architecture)}an artifact's folder, or None, got "
            f"weights={weights!r}.{did_you_mean(weights, there)}"
        )
    folder = there.get(weights, Path(weights))
    content, trained = read_whole(lambda: _read(folder), folder, mark=manifest.FILE)
    headless = head is not None and all(layer.name != head for layer in model.layers)
    wanted, found = model.get_weights(), _weights(trained, without=head if headless else None)
    if _shapes(wanted) != _shapes(found):
        classes = content.get("class_names")
        known = f" of {len(classes)} classes" if classes else ""
        raise ValueError(
            f"`weights` must fit the model, but weights={weights!r} are of a {content.get('name')!r}{known}, "
            f"for {_inputs(content)}. {_way_out(model, trained, None if headless else head)}"
        )
    model.set_weights(found)
    return model


def _read(folder: Path) -> tuple[Mapping[str, Any], keras.Model]:
    with trust.open_whole(folder) as whole:
        return whole.content, probe.load_keras(whole, compiled=False)


def _names(there: list[str], architecture: str) -> str:
    if not there:
        return f"of your own, as none come along for {architecture}: "
    return f"one of {there}, which were trained for {architecture}, "


def _weights(model: keras.Model, *, without: str | None) -> list[np.ndarray]:
    """All weights of a model, or those of its layers but for one."""
    if without is None:
        return model.get_weights()
    return [part for layer in model.layers if layer.name != without for part in layer.get_weights()]


def _shapes(weights: list[np.ndarray]) -> list[tuple[int, ...]]:
    return [part.shape for part in weights]


def _way_out(model: keras.Model, trained: keras.Model, head: str | None) -> str:
    """What to do about weights that do not fit."""
    if model.inputs[0].shape[-1] == 1 and trained.inputs[0].shape[-1] == 3:
        return "Build the model for colour images, and show it grey ones in all three channels."
    if head is not None:
        one, other = (_shapes(_weights(each, without=head)) for each in (model, trained))
        if one == other:
            return "Leave the head out, include_top=False, and put one of your own classes on the features."
    return "Build the model with as many classes and channels, and as wide, or with weights=None."


def _inputs(content: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {spec['shape'][1:]}" for name, spec in (content.get("inputs") or {}).items())
