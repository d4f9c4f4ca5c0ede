"""`model.tflite`: the flat file that LiteRT (once TensorFlow Lite) runs on phones, boards and in browsers.

Builtin operators only: a file that needs Flex carries half of TensorFlow with it, and most devices refuse it.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifact.parity import Predict
from l2zoo.artifact.sample import Outputs
from l2zoo.artifact.savedmodel import INPUT, SIGNATURE

if TYPE_CHECKING:
    import keras

_REFUSED = re.compile(r"^(?:TF Select|Flex|Custom) ops: (.+)$", re.MULTILINE)


def write(model: keras.Model, graph: Path, path: Path) -> None:
    """Converts the traced graph, in float32.

    Keras's own `export(format="litert")` would trace the model a second time and let Flex operators in.

    Raises:
        ValueError: An operator has no builtin counterpart; the message names it.
    """
    import tensorflow as tf

    del model
    converter = tf.lite.TFLiteConverter.from_saved_model(str(graph))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        content = converter.convert()
    except Exception as error:  # the converter's own error class has no public name
        raise ValueError(_reason(str(error))) from error
    path.write_bytes(content)


def _reason(message: str) -> str:
    names = sorted({name.strip() for line in _REFUSED.findall(message) for name in line.split(",")})
    if not names:
        return f"The model cannot be converted to TFLite: {message.splitlines()[0][:300]}"
    return (
        f"The model cannot be converted to TFLite: no builtin operator for {', '.join(names)}. "
        'Replace the layers that use them, or export without "tflite".'
    )


def open_file(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Opens the file in LiteRT's interpreter and reads what is inside.

    Raises:
        ValueError: The file holds operators that are not builtin.
    """
    from ai_edge_litert.interpreter import Interpreter

    found = contents(path.read_bytes())
    if found["custom_operators"]:
        raise ValueError(f"{path.name} needs operators that are not builtin: {found['custom_operators']}.")
    run = Interpreter(model_path=str(path)).get_signature_runner(SIGNATURE)
    found["inputs"] = _specs(run.get_input_details())
    found["outputs"] = _specs(run.get_output_details())

    def predict(images: np.ndarray) -> Outputs:
        return dict(run(**{INPUT: images}))  # resizes the batch by itself

    return predict, found


def contents(content: bytes) -> dict[str, Any]:
    """Counts the operators and the types of numbers in a TFLite file, from the file's own tables.

    Args:
        content: The file. It must come from a trusted place or have passed its checksum.

    Returns:
        `operators` and `custom_operators` by name, and `weights` (constants) and `activations` by dtype.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    builtin, custom = _names(schema.BuiltinOperator), schema.BuiltinOperator.CUSTOM
    dtypes = _names(schema.TensorType)
    tally: dict[str, Counter[str]] = {
        key: Counter() for key in ("operators", "custom_operators", "weights", "activations")
    }
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for index in range(graph.OperatorsLength()):
            code = codes[graph.Operators(index).OpcodeIndex()]
            # Codes up to 127 once had a field of one byte, which old readers still look at.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            if number == custom:
                tally["custom_operators"][code.CustomCode().decode()] += 1
            else:
                tally["operators"][builtin[number]] += 1
        for tensor in (graph.Tensors(index) for index in range(graph.TensorsLength())):
            buffer = model.Buffers(tensor.Buffer())
            # Data of files beyond 2 GB lie behind the tables, at an offset.
            constant = buffer.DataLength() > 0 or buffer.Size() > 1
            tally["weights" if constant else "activations"][dtypes[tensor.Type()].lower()] += 1
    return {key: dict(sorted(counter.items())) for key, counter in tally.items()}


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _specs(details: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "shape": [None if size < 0 else int(size) for size in detail["shape_signature"]],
            "dtype": np.dtype(detail["dtype"]).name,
        }
        for name, detail in sorted(details.items())
    }
