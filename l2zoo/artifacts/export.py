"""`export`: a trained model becomes a folder whose files were run and found to answer like the model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifacts import card as cards
from l2zoo.artifacts import labels_file, manifest, metadata, trained_on, trust
from l2zoo.artifacts import sample as samples
from l2zoo.artifacts.card import Card
from l2zoo.artifacts.formats import keras_file, savedmodel
from l2zoo.artifacts.formats.conversion import Conversion, Source, computes_in_16_bits
from l2zoo.artifacts.formats.table import FORMATS, select
from l2zoo.artifacts.inputs import Given, Inputs, Outputs, check_inputs, input_signature, take_rows
from l2zoo.artifacts.parity.check import Reference, check_files
from l2zoo.artifacts.parity.limits import Limits
from l2zoo.artifacts.parity.parity import Measure, Parity
from l2zoo.artifacts.verify import Artifact
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.storage.folders import whole_folder

if TYPE_CHECKING:
    import keras


@suggest_arguments
def export(
    model: keras.Model,
    folder: str | Path,
    *,
    sample: Given | None = None,
    formats: Sequence[str] = ("savedmodel", "tflite"),
    measure: Measure | None = None,
    limits: Limits | None = None,
    conversion: Conversion | None = None,
    metrics: Mapping[str, Any] | None = None,
    card: Card | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Writes a model as an artifact: files to deploy, each compared with the model on real images.

    The folder holds `model.keras`, the formats asked for, `sample.npz` (a few inputs with the model's
    answers), `labels.txt` (of classes, a name a line), `manifest.json` and `README.md`. A lone input is
    exported as `images`, float32 `(B, H, W, C)` or `(B, T, H, W, C)`, raw pixels in [0, 255]; several keep
    their names. Any batch size goes in. The folder appears when everything in it has passed, or not at all.

    Args:
        model: A built model that takes one batch of images, or a dict of arrays.
        folder: Where to write. Must not exist, or be empty, unless `overwrite`.
        sample: Real images `(B, H, W, C)` in [0, 255], uint8 or float, or a dict of arrays `(B, ...)` of one
            length; best 256 or more of the test set. Their shapes become those of the exported inputs.
            Whole numbers that the model takes as such are exported as int32, all else as float32.
        formats: Out of `"savedmodel"`, `"tflite"`, `"tflite_fp16"` (weights in float16), `"tflite_dynamic"`
            (large weights in int8), `"tflite_int8"` (weights and activations in int8) and `"onnx"` (with the
            extra `onnx`); `model.keras` is always there.
        measure: Called with the outputs for the whole sample, an array (or a dict of arrays, if the model's
            are several or have names); gives metrics by name of which more is better. Decides about
            quantised files, and stands in the card for every file beside the model's.
        limits: How far the files may be from the model; `Limits()` if None.
        conversion: Choices for the formats that are converted; `Conversion()` if None.
        metrics: Name to a number, or to numbers by name: `{"accuracy": {"mean": 0.97, "se": 0.01}}`.
        card: What a reader should know, and who runs it: name, task, meaning of the outputs, data, class
            names, a picture. What it leaves out of task, class names and data is taken from the `ImageData`
            or `VideoData` on which `fit`, `tune_l2` or `experiment` trained the model in this process.
        overwrite: Replaces an artifact that is there, once the new one is complete.

    Returns:
        The artifact: its folder, its manifest and the parity figures. Prints as a table.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The arguments do not fit, it cannot be told what an output with classes means, a format
            cannot be written, something stayed float that was to be quantised, or a file does not answer like
            the model. Nothing is left behind then.
        ImportError: A format needs an optional package.

    Example:
        >>> export(None, "somewhere", formats=["tflight"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: `formats` must be out of ['keras', ...], got ['tflight']. Did you mean 'tflite'?
    """
    names = select(formats)
    limits, conversion, card = limits or Limits(), conversion or Conversion(), card or Card()
    _check_type("limits", limits, Limits)
    _check_type("conversion", conversion, Conversion)
    if measure is not None and not callable(measure):
        raise TypeError(f"`measure` must be a function of the outputs, got {type(measure).__name__}.")
    _check_model(model)
    inputs = check_inputs(sample, model)
    calibration = _calibration(conversion, model, inputs)
    answers = keras_file.answers(model, inputs)
    one = answers(take_rows(inputs, slice(1)))
    card = trained_on.complete(card, model, metadata.interface(model, inputs, one), one)
    described = metadata.describe(model, card, metrics or {})
    room = model.count_params() * (1 + len(names))  # bytes: 2 a parameter in model.keras, 1 in other files
    place = whole_folder(Path(folder), overwrite=overwrite, mark=manifest.FILE, room=room)
    with place as (fresh, scratch):
        few, expected = samples.select(inputs, answers)
        samples.write(fresh / samples.FILE, few, expected)
        graph, single = scratch / "graph", scratch / "single"
        interface = metadata.interface(model, inputs, expected)
        task, kinds = metadata.meaning(model, card, interface, expected)
        for output, kind in kinds.items():
            interface["outputs"][output].update(kind.to_spec())
        savedmodel.trace(model, inputs, graph)
        source = Source(model, graph, single, inputs, _in_order(expected), calibration, conversion)
        for name in names:
            FORMATS[name].write(source, fresh / FORMATS[name].path)
        rounded = computes_in_16_bits(model)
        reference = Reference(inputs, answers, few, expected, measure, kinds, rounded)
        figures, rows = check_files(fresh, names, reference, limits)
        content = {**described, "task": task, **interface, "formats": rows, **trained_on.entry(model)}
        if "tflite_int8" in names:
            content["int8"] = metadata.int8(source)
        written = _finish(fresh, content, figures, card)
    trust.remember(written["files"])
    return Artifact(Path(folder), written, figures)


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"`{name}` must be a {kind.__name__}, got {type(value).__name__}.")


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


def _calibration(conversion: Conversion, model: keras.Model, inputs: Inputs) -> Inputs:
    """The inputs from which ranges are read, of the sample's shapes and types."""
    if conversion.calibration is None:
        return inputs
    found = check_inputs(conversion.calibration, model, argument="calibration")
    wanted, got = input_signature(inputs), input_signature(found)
    if wanted != got:
        raise ValueError(f"`calibration` must hold inputs like those of `sample`, {wanted}, got {got}.")
    return found


def _in_order(outputs: Outputs) -> tuple[str, ...]:
    """Names of outputs in the order of a graph: of a dict sorted, of a list as they are."""
    names = tuple(outputs)
    return names if names == tuple(f"output_{i}" for i in range(len(names))) else tuple(sorted(names))


def _finish(
    fresh: Path, content: dict[str, Any], figures: Mapping[str, Parity], card: Card
) -> dict[str, Any]:
    """Adds picture, card and manifest, and gives the last."""
    if card.picture is not None:
        shutil.copyfile(card.picture, fresh / str(card.picture_name))
    text = cards.render(content, figures, picture=card.picture_name)
    (fresh / cards.FILE).write_text(text, encoding="utf-8")
    labels_file.write(fresh, content)
    manifest.write(fresh, {**content, "files": manifest.file_table(fresh)})
    return manifest.read(fresh)
