"""What strangers' files do to the libraries that open them is tried in a process of its own first.

LiteRT, Keras, h5py and TensorFlow were not written for files that somebody made to hurt: some end the
process, some fill the memory, some never return. There that costs an error. What came through is opened here
too: a probe is no sandbox, and a file that does something else the second time gets away with it.
"""

from __future__ import annotations

import concurrent.futures
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts import manifest
from l2zoo.artifacts.formats import keras_file, tflite
from l2zoo.artifacts.inputs import Inputs, as_model_input
from l2zoo.artifacts.trust import Whole
from l2zoo.utils.processes.bounded_process import BoundedProcess
from l2zoo.utils.storage.files import as_value_errors

if TYPE_CHECKING:
    import keras

ADVICE = "Do not use this artifact; if you know whose it is and it just is large, pass trusted=True."
_SECONDS = 60.0  # for one answer of a TFLite file; ours take milliseconds
KERAS_SECONDS = 300.0  # for TensorFlow, which takes half a minute on a busy machine, and a model's answers
MEMORY, KERAS_MEMORY = 2 * 2**30, 4 * 2**30  # bytes, and as many times those of the file:
TIMES = 8  # weights are unpacked, packed for the processor, and there are activations

_passed: set[tuple[str, str]] = set()  # functions with the SHA-256 of what came through them


def run_bounded(
    function: str,
    *arguments: Any,
    what: str,
    seconds: float = _SECONDS,
    memory: int,
    modules: Sequence[str] = (),
    meanwhile: Callable[[], Any] = lambda: None,
) -> Any:
    """What a function returns in a process of its own, in which files of strangers are opened.

    Args:
        function: As `BoundedProcess` has it.
        *arguments: The function's.
        what: Begins the error, as in "model.tflite cannot be opened".
        seconds: It may take.
        memory: Bytes that it may take.
        modules: That it imports late.
        meanwhile: Is called here while it runs there.

    Raises:
        ValueError: It died, took more time or memory than it may, or raised an error that is not the user's.
        Exception: What the function raised, if it is the user's.
    """
    with (
        concurrent.futures.ThreadPoolExecutor(1) as other,
        BoundedProcess(function, seconds=seconds, memory=memory, modules=modules) as process,
    ):  # which ends the process first, so that Ctrl-C waits for nobody
        answer = other.submit(process, *arguments)
        meanwhile()
        try:
            return answer.result()
        except (ChildProcessError, TimeoutError, MemoryError, RuntimeError) as error:
            raise ValueError(
                f"{what}: it was tried in a process of its own. {str(error).rstrip('.')}. {ADVICE}"
            ) from error


# ---- TFLite ------------------------------------------------------------------------------------------------


def try_tflite(whole: Whole, path: str, content: bytes, *, threads: int | None = None) -> None:
    """Opens a stranger's TFLite file and runs it once, elsewhere; files that are none stay untried.

    Args:
        whole: The artifact.
        path: Of the file in it.
        content: The file.
        threads: On which it computes.

    Raises:
        ValueError: It cannot be opened or run.
    """
    key = ("tflite", whole.content["files"][path]["sha256"])
    if whole.trusts(path) or key in _passed:
        return
    run_bounded(
        "l2zoo.artifacts.probe:run_tflite", content, path, threads,
        what=f"{path} cannot be opened", memory=MEMORY + TIMES * len(content),
        modules=("ai_edge_litert.interpreter",),
        meanwhile=lambda: importlib.import_module("ai_edge_litert.interpreter"),  # which is needed here too
    )  # fmt: skip
    _passed.add(key)


def run_tflite(content: bytes, name: str, threads: int | None) -> None:
    """Opens a TFLite file and runs it on zeros: the part of `try_tflite` that may die."""
    predict, found = tflite.open_content(content, name, threads=threads)
    with as_value_errors(f"{name} cannot be run"):
        predict(_zeros(found["inputs"]))


def _zeros(specs: Mapping[str, Mapping[str, Any]]) -> Inputs:
    """One example of inputs."""
    return {
        name: np.zeros([1, *(size or 1 for size in spec["shape"][1:])], spec["dtype"])
        for name, spec in specs.items()
    }


# ---- Keras -------------------------------------------------------------------------------------------------


def load_keras(whole: Whole, *, compiled: bool) -> keras.Model:
    """The Keras model of an artifact; a stranger's is loaded and run once elsewhere before.

    Keras is imported here meanwhile. A file with classes of which only this process knows is tried as far as
    the first of them.

    Args:
        whole: The artifact.
        compiled: Whether loss, metrics and optimizer are made again as they were saved.

    Raises:
        ValueError: It cannot be loaded safely.
    """
    path = keras_file.FILE
    if path not in whole.content["files"]:
        raise ValueError(f"{path} cannot be loaded: {manifest.FILE} names no such file.")
    key = (f"keras, compiled={compiled}", whole.content["files"][path]["sha256"])
    with whole.private_copy([path]) as copy:
        if not whole.trusts(path) and key not in _passed:
            run_bounded(
                "l2zoo.artifacts.probe:run_keras", copy / path, compiled, whole.content.get("inputs"),
                what=f"{path} cannot be loaded", seconds=KERAS_SECONDS,
                memory=KERAS_MEMORY + TIMES * whole.size(path), modules=("keras",),
                meanwhile=lambda: importlib.import_module("keras"),
            )  # fmt: skip
            _passed.add(key)
        return keras_file.load_model(copy / path, compiled=compiled)


def run_keras(path: Path, compiled: bool, specs: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Loads a Keras file and runs it on zeros: the part of `load_keras` that may die."""
    try:
        model = keras_file.load_model(path, compiled=compiled)
    except ValueError as error:
        if keras_file.UNKNOWN_CLASS in str(error.__cause__):
            return  # whoever asks may know it
        raise
    if specs:
        with as_value_errors(f"{path.name} cannot be run"):
            model.predict_on_batch(as_model_input(model, _zeros(specs)))
