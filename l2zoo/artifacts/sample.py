"""`sample.npz`: the few real inputs that an artifact keeps, with the Keras model's answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.artifacts.inputs import RESERVED, Inputs, Outputs, Predict, subsample, take_rows
from l2zoo.utils.storage.files import as_value_errors
from l2zoo.utils.storage.reading import read_arrays

FILE = "sample.npz"
_KEPT = 32
_KEPT_BYTES = 2**20  # of inputs and answers together: the masks of a segmenter are larger than its images
_LARGEST = 256 * 2**20  # bytes a sample may unpack to: a small file can hold a very large one


def select(inputs: Inputs, answers: Predict) -> tuple[Inputs, Outputs]:
    """The few examples, evenly spread, that go into the artifact, and the model's answers to them.

    Floats that are whole bytes are kept as uint8.
    """
    given = {name: _as_bytes(array) for name, array in subsample(inputs, _KEPT).items()}
    one = take_rows(given, slice(1))
    size = sum(array[:1].nbytes for array in (*given.values(), *answers(one).values()))
    few = subsample(given, max(1, _KEPT_BYTES // size))
    return few, answers(take_rows(few, slice(None)))


def _as_bytes(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f" or array.min() < 0 or array.max() > 255:
        return array
    whole = array.astype(np.uint8)
    return whole if np.array_equal(whole, array) else array


def write(path: Path, inputs: Inputs, outputs: Outputs) -> None:
    """Stores inputs and the answers of the Keras model, as plain arrays of numbers."""
    arrays: Any = {**inputs, **{RESERVED + name: array for name, array in outputs.items()}}
    np.savez_compressed(path, **arrays)  # before NumPy 2.2, `allow_pickle` would be an array too


def read(path: Path) -> tuple[Inputs, Outputs]:
    """Inputs and expected outputs, as `write` stored them. Nothing is unpickled.

    Raises:
        ValueError: The file holds something else.
    """
    with as_value_errors(f"{FILE} is not the sample of an artifact"):
        arrays = read_arrays(path, where="it", unpacked=_LARGEST)
        inputs = {name: array for name, array in arrays.items() if not name.startswith(RESERVED)}
        outputs = {name.removeprefix(RESERVED): arrays[name] for name in arrays if name not in inputs}
        counts = {len(array) for array in arrays.values()}
        if not inputs or not outputs or len(counts) != 1 or counts == {0}:
            raise ValueError("it does not hold one answer for each input")
    return inputs, outputs
