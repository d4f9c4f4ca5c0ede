"""Trained weights for a builder, out of an artifact of the same architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifacts import manifest, probe, trust
from l2zoo.artifacts.store import locations
from l2zoo.utils.folders import read_whole

if TYPE_CHECKING:
    import keras


def load_weights(model: keras.Model, weights: str | None, *, architecture: str) -> keras.Model:
    """The model with trained weights in it, if any are asked for. Its penalty stays as it is.

    Args:
        model: Just built.
        weights: `"digits"` for the saved model `ARCHITECTURE_digits`, an artifact's folder, or None.
        architecture: What the saved models of this builder are called before the underscore.

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
            f"`weights` must be one of {sorted(there)}, which were trained for {architecture}, an artifact's "
            f"folder, or None, got weights={weights!r}."
        )
    folder = there.get(weights, Path(weights))
    content, trained = read_whole(lambda: _read(folder), folder, mark=manifest.FILE)
    wanted, found = model.get_weights(), trained.get_weights()
    if [part.shape for part in wanted] != [part.shape for part in found]:
        classes = content.get("class_names")
        known = f" of {len(classes)} classes" if classes else ""
        raise ValueError(
            f"`weights` must fit the model, but weights={weights!r} are of a {content.get('name')!r}{known}, "
            f"for {_inputs(content)}. Build the model with as many classes and channels, and as wide, "
            "or with weights=None."
        )
    model.set_weights(found)
    return model


def _read(folder: Path) -> tuple[Mapping[str, Any], keras.Model]:
    with trust.open_whole(folder) as whole:
        return whole.content, probe.load_keras(whole, compiled=False)


def _inputs(content: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {spec['shape'][1:]}" for name, spec in (content.get("inputs") or {}).items())
