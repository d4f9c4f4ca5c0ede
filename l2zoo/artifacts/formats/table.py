"""The table of formats: what a file is called, how it is written and run, and how it rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest
from l2zoo.artifacts.formats import keras_file, onnx_file, savedmodel, tflite
from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.inputs import Predict
from l2zoo.artifacts.parity.limits import Rounding
from l2zoo.utils.validation import known_names


def _nothing() -> None:
    """What a format asks for that needs no extra."""


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Args:
        path: File or folder of this format inside the artifact.
        write: Called with what it is made from and the path to write.
        open: Called with the path; gives the function that runs the file, and what was found inside.
        rounding: Decides by which limits the file is judged.
        check_installed: Raises ImportError if an optional package is missing.
        modules: What opening a file imports, for a process in which memory is counted afterwards.
    """

    path: str
    write: Callable[[Source, Path], None]
    open: Callable[[Path], tuple[Predict, dict[str, Any]]]
    rounding: Rounding = "float32"
    check_installed: Callable[[], None] = _nothing
    modules: Sequence[str] = ()


_LITERT = ("ai_edge_litert.interpreter",)

FORMATS: dict[str, Format] = {
    "keras": Format(keras_file.FILE, keras_file.write, keras_file.open_file, modules=("keras",)),
    "savedmodel": Format("saved_model/1", savedmodel.write, savedmodel.open_folder, modules=("tensorflow",)),
    "tflite": Format("model.tflite", tflite.write, tflite.open_file, modules=_LITERT),
    "tflite_fp16": Format(
        "model_fp16.tflite", tflite.write_fp16, tflite.open_file, "float16", modules=_LITERT
    ),
    "tflite_dynamic": Format(
        "model_dynamic.tflite", tflite.write_dynamic, tflite.open_file, "int8", modules=_LITERT
    ),
    "tflite_int8": Format("model_int8.tflite", tflite.write_int8, tflite.open_file, "int8", modules=_LITERT),
    "onnx": Format(
        "model.onnx", onnx_file.write, onnx_file.open_file,
        check_installed=onnx_file.check_installed, modules=("onnx", "onnxruntime"),
    ),
}  # fmt: skip
RUNS_CODE = frozenset({"savedmodel"})  # TensorFlow calls its SavedModels programs: opening one runs it
ALWAYS = "keras"


def select(formats: Sequence[str]) -> list[str]:
    """Some formats in the order of the table, with the one that is always there.

    Raises:
        ValueError: There is no such format.
        ImportError: A format needs an optional package.

    Example:
        >>> select(["tflite_int8", "tflite"])
        ['keras', 'tflite', 'tflite_int8']
    """
    if isinstance(formats, str):
        raise ValueError(f"`formats` must be a list of words out of {list(FORMATS)}, got {formats!r}.")
    known_names("formats", formats, list(FORMATS))
    names = [name for name in FORMATS if name == ALWAYS or name in formats]
    for name in names:
        FORMATS[name].check_installed()
    return names


def formats_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of an artifact's formats, each of which this l2zoo knows and has its file there.

    Args:
        content: The manifest of an artifact that was found whole.

    Raises:
        ValueError: The manifest names none, or one that is not known or not there.
    """
    rows = content.get("formats")
    if not isinstance(rows, dict) or not rows:
        raise ValueError(f"`formats` in {manifest.FILE} must name the formats. Export the model again.")
    unknown = sorted(set(rows) - set(FORMATS))
    if unknown:
        raise ValueError(f"This l2zoo knows the formats {list(FORMATS)}, the artifact has {unknown}. Update.")
    for name in rows:
        path = FORMATS[name].path
        if not any(file == path or file.startswith(path + "/") for file in content["files"]):
            raise ValueError(f"The artifact has no {path}, which {manifest.FILE} speaks of. Export again.")
    return rows
