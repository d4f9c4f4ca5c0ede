"""`model.onnx`: the file that ONNX Runtime runs, with the optional extra `onnx`."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict, as_model_input, input_signature
from l2zoo.utils import validation
from l2zoo.utils.console import without_chatter

if TYPE_CHECKING:
    import keras

_NEEDED = ("onnx", "onnxruntime", "tf2onnx")
_STANDARD = ("", "ai.onnx", "ai.onnx.ml")  # domains of operators that every runtime knows


def check_installed() -> None:
    """Raises ImportError, with what to install, if something is missing."""
    validation.check_installed('The format "onnx"', _NEEDED, extra="onnx")


def write(source: Source, path: Path) -> None:
    """Converts the model by Keras's exporter and gives the outputs their names.

    Raises:
        ValueError: An operator has no counterpart in ONNX.
    """
    import onnx

    signature = _signature(source.model, source.inputs)
    try:
        with warnings.catch_warnings(), without_chatter():
            warnings.simplefilter("ignore")  # tf2onnx uses names that NumPy 2 warns of
            source.model.export(path, format="onnx", verbose=False, input_signature=signature)
    except Exception as error:  # tf2onnx raises whatever the failing operator raised
        raise ValueError(
            f'The model cannot be converted to ONNX: {str(error)[:300]}. Export without "onnx".'
        ) from error
    model = onnx.load(path)
    _rename(model.graph, dict(zip((one.name for one in model.graph.output), source.outputs, strict=True)))
    for one in (*model.graph.input, *model.graph.output):
        one.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, path)


def _signature(model: keras.Model, inputs: Inputs) -> list[Any]:
    """Shapes, types and names of what the model is called with, in Keras's words."""
    import keras

    named = {
        name: keras.InputSpec(shape=shape, dtype=dtype, name=name)
        for name, (shape, dtype) in input_signature(inputs).items()
    }
    return [as_model_input(model, named)]


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Gives the outputs of a graph the names of the model's; the exporter calls them `Identity:0`."""
    for one in graph.output:
        one.name = names[one.name]
    for node in graph.node:
        for side in (node.input, node.output):
            for index, name in enumerate(side):
                side[index] = names.get(name, name)


def open_file(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Opens the file in ONNX Runtime, on the CPU, and reads what is inside.

    Raises:
        ImportError: The extra `onnx` is not installed.
    """
    check_installed()
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    takes = [one.name for one in session.get_inputs()]
    gives = [one.name for one in session.get_outputs()]

    def predict(inputs: Inputs) -> Outputs:
        # An input that the model ignores is not in the file.
        answers = session.run(gives, {name: inputs[name] for name in takes})
        return {name: np.asarray(answer) for name, answer in zip(gives, answers, strict=True)}

    model = onnx.load(path)
    nodes = list(_nodes(model.graph))
    found = {
        "operators": _tally(node.op_type for node in nodes),
        "custom_operators": _tally(f"{n.domain}:{n.op_type}" for n in nodes if n.domain not in _STANDARD),
        "operator_sets": {one.domain or "ai.onnx": one.version for one in model.opset_import},
        "weights": _tally(_dtype(onnx, one.data_type) for one in model.graph.initializer),
        "inputs": _specs(onnx, session.get_inputs()),
        "outputs": _specs(onnx, session.get_outputs()),
    }
    return predict, found


def _nodes(graph: Any) -> Iterator[Any]:
    """The operators of a graph, with those in the bodies of loops and the branches of conditions."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from _nodes(body)


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _dtype(onnx: Any, number: int) -> str:
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number)).name


def _specs(onnx: Any, arguments: list[Any]) -> dict[str, dict[str, Any]]:
    specs = {}
    for one in sorted(arguments, key=lambda argument: argument.name):
        word = re.sub(r"tensor\((\w+)\)", r"\1", one.type).upper()  # as in tensor(float)
        shape = [size if isinstance(size, int) else None for size in one.shape]
        specs[one.name] = {"shape": shape, "dtype": _dtype(onnx, onnx.TensorProto.DataType.Value(word))}
    return specs
