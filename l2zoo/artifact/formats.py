"""The table of formats: what a file is called, how it is written and run, and how close it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifact import kerasfile, litert, savedmodel
from l2zoo.artifact.parity import Predict

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Args:
        path: File or folder of this format inside the artifact.
        write: Called with the model, the SavedModel traced from it, and the path to write.
        open: Called with the path; gives the function that runs the file, and what was found inside.
        tolerance: Default limit on the largest absolute difference to the Keras model's outputs.
    """

    path: str
    write: Callable[[keras.Model, Path, Path], None]
    open: Callable[[Path], tuple[Predict, dict[str, Any]]]
    tolerance: float


FORMATS: dict[str, Format] = {
    "keras": Format("model.keras", kerasfile.write, kerasfile.open_file, 1e-4),
    "savedmodel": Format("saved_model/1", savedmodel.write, savedmodel.open_folder, 1e-4),
    "tflite": Format("model.tflite", litert.write, litert.open_file, 1e-4),
}
ALWAYS = "keras"
