"""The table of formats: what a file is called, how it is written and run, and how it rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2zoo.artifact import kerasfile, litert, onnxfile, quantized, savedmodel
from l2zoo.artifact.conversion import Source
from l2zoo.artifact.limits import Rounding
from l2zoo.artifact.parity import Predict


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
    """

    path: str
    write: Callable[[Source, Path], None]
    open: Callable[[Path], tuple[Predict, dict[str, Any]]]
    rounding: Rounding = "float32"
    check_installed: Callable[[], None] = _nothing


FORMATS: dict[str, Format] = {
    "keras": Format("model.keras", kerasfile.write, kerasfile.open_file),
    "savedmodel": Format("saved_model/1", savedmodel.write, savedmodel.open_folder),
    "tflite": Format("model.tflite", litert.write, litert.open_with_flex),
    "tflite_fp16": Format("model_fp16.tflite", quantized.write_fp16, litert.open_with_flex, "float16"),
    "tflite_dynamic": Format("model_dynamic.tflite", quantized.write_dynamic, litert.open_with_flex, "int8"),
    "tflite_int8": Format("model_int8.tflite", quantized.write_int8, litert.open_with_flex, "int8"),
    "onnx": Format(
        "model.onnx", onnxfile.write, onnxfile.open_file, check_installed=onnxfile.check_installed
    ),
}
ALWAYS = "keras"


def chosen(formats: Sequence[str]) -> list[str]:
    """Some formats in the order of the table, with the one that is always there.

    Raises:
        ValueError: There is no such format.
        ImportError: A format needs an optional package.

    Example:
        >>> chosen(["tflite_int8", "tflite"])
        ['keras', 'tflite', 'tflite_int8']
    """
    unknown = [formats] if isinstance(formats, str) else sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ValueError(f"`formats` must be out of {list(FORMATS)}, got {unknown}.")
    names = [name for name in FORMATS if name == ALWAYS or name in formats]
    for name in names:
        FORMATS[name].check_installed()
    return names
