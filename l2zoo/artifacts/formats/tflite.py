"""`model.tflite` and its quantised sisters: flat files that LiteRT (once TensorFlow Lite) runs everywhere.

Builtin operators only, unless Flex is allowed: a file that needs it carries half of TensorFlow with it, most
devices refuse it, and no interpreter for Python runs it as a whole.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.artifacts import feeding
from l2zoo.artifacts.failures import as_value_errors
from l2zoo.artifacts.formats import flex, savedmodel
from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.formats.inspect_tflite import contents
from l2zoo.artifacts.inputs import Inputs
from l2zoo.artifacts.parity.parity import Predict
from l2zoo.artifacts.sample import Outputs
from l2zoo.utils.console import without_chatter

_NO_BUILTIN = "no builtin operator for"
_NEEDS_BATCH = "TensorListReserve"  # what a loop keeps its steps in; its size must be known
_REFUSED = re.compile(r"^(?:TF Select|Flex|Custom) ops: (.+)$", re.MULTILINE)


def write(source: Source, path: Path) -> None:
    """Converts the traced graph, in float32.

    Raises:
        ValueError: An operator has no builtin counterpart; the message names it.
    """
    path.write_bytes(converted(source))


def converted(source: Source, **settings: Any) -> bytes:
    """The model as a TFLite file; one with recurrent loops takes one example at a time.

    Keras's own `export(format="litert")` would trace the model a second time and let Flex operators in.

    Args:
        source: The model and its graphs.
        settings: Attributes of the converter.

    Raises:
        ValueError: An operator has no builtin counterpart.
    """
    allowed = source.conversion.allow_flex
    if not source.single.exists():
        try:
            return _with_flex_if_need_be(source.graph, settings, allowed=allowed)
        except ValueError as error:
            if _NEEDS_BATCH not in str(error):
                raise
        savedmodel.trace(source.model, source.inputs, source.single, batch=1)
    return _with_flex_if_need_be(source.single, settings, allowed=allowed)


def _with_flex_if_need_be(graph: Path, settings: dict[str, Any], *, allowed: bool) -> bytes:
    """Without Flex where that goes: a loop that takes one example at a time needs none."""
    try:
        return _converted(graph, settings)
    except ValueError as error:
        if not allowed or _NO_BUILTIN not in str(error) or _NEEDS_BATCH in str(error):
            raise
        if "representative_dataset" in settings:
            raise ValueError(
                "The model cannot be calibrated for int8: TensorFlow's calibrator has no Flex operators. "
                "Replace the layers that need them, or export the other formats."
            ) from error
    return _converted(graph, settings, with_flex=True)


def _converted(graph: Path, settings: dict[str, Any], *, with_flex: bool = False) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(graph))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    for name, value in settings.items():
        setattr(converter, name, value)
    if with_flex:
        target = converter.target_spec
        target.supported_ops = [*target.supported_ops, tf.lite.OpsSet.SELECT_TF_OPS]
    with warnings.catch_warnings(), without_chatter():
        # The converter calibrates with TensorFlow's own interpreter, which says that it will be gone.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        try:
            return converter.convert()
        except Exception as error:  # the converter's own error class has no public name
            failure = error
    raise ValueError(_reason(str(failure))) from failure


def _reason(message: str) -> str:
    names = sorted({name.strip() for line in _REFUSED.findall(message) for name in line.split(",")})
    if not names:
        return f"The model cannot be converted to TFLite: {message.splitlines()[0][:300]}"
    return (
        f"The model cannot be converted to TFLite: {_NO_BUILTIN} {', '.join(names)}. "
        "Replace the layers that use them, or export without the TFLite formats; as the last resort, if your "
        "devices have the Flex delegate, allow TensorFlow's operators with Conversion(allow_flex=True)."
    )


def open_with_flex(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Like `open_file`, and a file with Flex operators is opened too, to be compared."""
    return open_file(path, with_flex=True)


def open_file(
    path: Path, *, threads: int | None = None, with_flex: bool = False
) -> tuple[Predict, dict[str, Any]]:
    """Opens the file in LiteRT's interpreter and reads what is inside.

    Args:
        path: A TFLite file.
        threads: On which it computes; LiteRT's own choice if None.
        with_flex: Runs Flex operators too, slowly, by TensorFlow.

    Raises:
        ValueError: The file is no TFLite file of ours, or holds operators that are not builtin.
    """
    from ai_edge_litert.interpreter import Interpreter

    with as_value_errors(f"{path.name} cannot be opened"):
        found = contents(path.read_bytes())
    custom = found["custom_operators"]
    if custom and not with_flex:
        raise ValueError(
            f"{path.name} needs operators that are not builtin: {custom}. LiteRT for Python has none of "
            "them. Run it in an app with the Flex delegate, or run the SavedModel, or the Keras model "
            "(`l2zoo.load`)."
        )
    with as_value_errors(f"{path.name} cannot be opened"):
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        run = interpreter.get_signature_runner(savedmodel.SIGNATURE)
        takes, gives = run.get_input_details(), run.get_output_details()
        if custom:
            run = flex.Parts(path.read_bytes(), takes, gives)
    single = any(detail["shape_signature"][0] == 1 for detail in takes.values())
    found["inputs"], found["outputs"] = _specs(takes), _specs(gives)
    first = True

    def answer(inputs: Inputs) -> Outputs:
        nonlocal first
        # The runner resizes the batch by itself. An input that the model ignores is not in the file.
        missing = sorted(set(takes) - set(inputs))
        if missing:
            raise ValueError(f"{path.name} takes {sorted(takes)}, got no {missing}.")
        with without_chatter() if first else contextlib.nullcontext():  # LiteRT writes of its delegate, once
            answers = run(**{name: quantized(inputs[name], detail) for name, detail in takes.items()})
        first = False
        return {name: dequantized(value, gives[name]) for name, value in answers.items()}

    def predict(inputs: Inputs) -> Outputs:
        if not single:
            return answer(inputs)
        each = [answer(feeding.fed(inputs, slice(i, i + 1))) for i in range(feeding.count(inputs))]
        return {name: np.concatenate([one[name] for one in each]) for name in each[0]}

    return predict, found


def quantized(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """`round(values / scale) + zero_point` in the type of an input, as the file's `detail` says; else as is.

    Example:
        >>> quantized(np.array([0.0, 127.4, 300.0]), {"dtype": np.uint8, "quantization": (1.0, 0)}).tolist()
        [0, 127, 255]
    """
    scale, zero_point = detail["quantization"]
    if not scale:
        return values
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def dequantized(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """`(values - zero_point) * scale`, as the file's `detail` of an output says; else as is.

    Example:
        >>> dequantized(np.array([-128, 127], np.int8), {"quantization": (0.5, -128)}).tolist()
        [0.0, 127.5]
    """
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale) if scale else values


def _specs(details: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    specs = {}
    for name, detail in sorted(details.items()):
        shape = [None if size < 0 else int(size) for size in detail["shape_signature"]]
        specs[name] = {"shape": shape, "dtype": np.dtype(detail["dtype"]).name}
        scale, zero_point = detail["quantization"]
        if scale:
            specs[name] |= {"scale": float(scale), "zero_point": int(zero_point)}
    return specs
