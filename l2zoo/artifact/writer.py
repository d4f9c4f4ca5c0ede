"""`export`: a trained model becomes a folder whose files were run and found to answer like the model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.artifact import card as cards
from l2zoo.artifact import facts, kerasfile, manifest, replacing, savedmodel
from l2zoo.artifact import parity as parities
from l2zoo.artifact import sample as samples
from l2zoo.artifact.card import Card
from l2zoo.artifact.folder import Artifact
from l2zoo.artifact.formats import ALWAYS, FORMATS
from l2zoo.artifact.parity import Parity

if TYPE_CHECKING:
    import keras


def export(
    model: keras.Model,
    folder: str | Path,
    *,
    sample: ArrayLike | None = None,
    formats: Sequence[str] = ("savedmodel", "tflite"),
    metrics: Mapping[str, Any] | None = None,
    card: Card | None = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Writes a model as an artifact: files to deploy, each compared with the model on real images.

    The folder holds `model.keras`, the formats asked for, `sample.npz` (a few images with the model's
    answers), `manifest.json` and `README.md`. The exported input is `images`, float32 `(B, H, W, C)`, raw
    pixels in [0, 255], any batch size. The folder appears when everything in it has passed, or not at all.

    Args:
        model: A built model with one batch of images as its input.
        folder: Where to write. Must not exist, or be empty, unless `overwrite`.
        sample: Real images `(B, H, W, C)` in [0, 255], uint8 or float, best some hundreds of the test set.
            `H`, `W` and `C` become the exported input's.
        formats: Out of `"savedmodel"` and `"tflite"`; `model.keras` is always there.
        metrics: Name to a number, or to numbers by name: `{"accuracy": {"mean": 0.97, "se": 0.01}}`.
        card: What a reader should know: name, data, class names, a picture.
        tolerance: Largest absolute difference allowed, in the units of the outputs; if None, 1e-4.
        overwrite: Replaces an artifact that is there, once the new one is complete.

    Returns:
        The artifact: its folder, its manifest and the parity figures. Prints as a table.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The arguments do not fit, a format cannot be written, or a file does not answer like
            the model. Nothing is left behind then.

    Example:
        >>> export(None, "somewhere", formats=["tflight"])
        Traceback (most recent call last):
        ValueError: `formats` must be out of ['keras', 'savedmodel', 'tflite'], got ['tflight'].
    """
    names = _format_names(formats)
    limits = _limits(names, tolerance)
    _check_model(model)
    images = samples.check(sample, model)
    card = card or Card()
    known = facts.known(model, card, metrics or {})
    with replacing.whole_folder(Path(folder), overwrite=overwrite, mark=manifest.FILE) as (fresh, scratch):
        graph = scratch / "graph"
        savedmodel.trace(model, images.shape[1:], graph)
        for name in names:
            FORMATS[name].write(model, graph, fresh / FORMATS[name].path)
        answers = kerasfile.answers(model, images.shape[1:])
        figures, rows = _compare(fresh, images, answers, limits)
        few = samples.kept(images)
        outputs = answers(few.astype(np.float32))
        samples.write(fresh / samples.FILE, few, outputs)
        _finish(fresh, {**known, **facts.interface(images, outputs), "formats": rows}, figures, card)
    return Artifact(Path(folder), manifest.read(Path(folder)), figures)


def _format_names(formats: Sequence[str]) -> list[str]:
    """The formats in the order of the table, with the one that is always there."""
    unknown = [formats] if isinstance(formats, str) else sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ValueError(f"`formats` must be out of {list(FORMATS)}, got {unknown}.")
    return [name for name in FORMATS if name == ALWAYS or name in formats]


def _limits(names: Sequence[str], tolerance: float | None) -> dict[str, float]:
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"`tolerance` must be a finite number >= 0, got tolerance={tolerance}.")
    return {name: FORMATS[name].tolerance if tolerance is None else float(tolerance) for name in names}


def _check_model(model: Any) -> None:
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a keras.Model, got {type(model).__name__}.")
    if not model.built:
        raise ValueError(f"`model` must be built, got {model.name!r}. Call it once on a batch of images.")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Export needs Keras on TensorFlow, got backend={keras.backend.backend()!r}. Save the model as "
            "`.keras`, and load and export it in a process with KERAS_BACKEND=tensorflow."
        )


def _compare(
    fresh: Path, images: np.ndarray, answers: parities.Predict, limits: Mapping[str, float]
) -> tuple[dict[str, Parity], dict[str, Any]]:
    """Runs what was written; the figures, and the rows of the manifest.

    Raises:
        ValueError: A file does not answer like the model.
    """
    opened = {name: FORMATS[name].open(fresh / FORMATS[name].path) for name in limits}
    runs = {name: predict for name, (predict, _) in opened.items()}
    figures = parities.compare(parities.batches(images, answers), runs, limits)
    problems = parities.problems(figures)
    if problems:
        raise ValueError(
            " ".join(problems) + " Nothing was written. Look at what the model answers for that image; if "
            "the difference is harmless for these outputs, pass a larger `tolerance`."
        )
    rows = {
        name: {
            "path": FORMATS[name].path,
            "bytes": _bytes(fresh / FORMATS[name].path),
            "found": found,
            "parity": asdict(figures[name]),
        }
        for name, (_, found) in opened.items()
    }
    return figures, rows


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _finish(fresh: Path, content: dict[str, Any], figures: Mapping[str, Parity], card: Card) -> None:
    """Adds picture, card and manifest."""
    names, classes = content["class_names"], next(iter(content["outputs"].values()))["shape"][-1]
    if names is not None and len(names) != classes:
        raise ValueError(
            f"`class_names` must name the {classes} outputs of the model, got {len(names)} names."
        )
    if card.picture is not None:
        shutil.copyfile(card.picture, fresh / str(card.picture_name))
    text = cards.render(content, figures, picture=card.picture_name)
    (fresh / cards.FILE).write_text(text, encoding="utf-8")
    manifest.write(fresh, {**content, "files": manifest.file_table(fresh)})
