"""`model.tflite` and its quantised sisters: flat files that LiteRT (once TensorFlow Lite) runs everywhere.

Builtin operators only: a file with TensorFlow's own (Flex) carries half of TensorFlow with it, most devices
refuse it, and no interpreter for Python runs it.

TensorFlow's converter leaves in float what it cannot or will not quantise, and does not say so. Here the file
is read. A full int8 file is refused, with the names of what stayed float, unless that is allowed. A file with
weights in int8 is refused if none is; else the manifest and the card name the large ones that stayed float.
"""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.artifacts.formats import savedmodel
from l2zoo.artifacts.formats.conversion import Source, computes_in_16_bits, in_float32
from l2zoo.artifacts.formats.inspect_tflite import SMALL, contents, float_parts
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict, num_examples, subsample, take_rows
from l2zoo.utils.console import without_chatter
from l2zoo.utils.storage.files import as_value_errors

CALIBRATION = 200  # examples at most, from which the ranges of activations are read
_STEP = 8  # of them at once
_SHOWN = 5  # tensors that an error names
_LOOP = "TensorListReserve"  # what a loop keeps its steps in; its size must be known
_REFUSED = re.compile(r"^(?:TF Select|Flex|Custom) ops: (.+)$", re.MULTILINE)
# Where the converter says that an operator stands: `loc(... fused["Erf:", "model_1/layer_1/Erf@...`.
_PLACE = re.compile(r'error: loc\(.*?fused\["\w+:", "([^"@]+)@.*op is neither a custom op')


def write(source: Source, path: Path) -> None:
    """Converts the traced graph, in float32.

    Raises:
        ValueError: An operator has no builtin counterpart; the message names it.
    """
    path.write_bytes(convert(source))


def write_fp16(source: Source, path: Path) -> None:
    """Weights in float16, half the size; computed in float32, or in float16 on a GPU.

    Raises:
        ValueError: The model cannot be converted, or weights stayed float32.
    """
    import tensorflow as tf

    target = tf.lite.TargetSpec(supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS], supported_types=[tf.float16])
    content = convert(source, optimizations=[tf.lite.Optimize.DEFAULT], target_spec=target)
    weights = contents(content)["weights"]
    if "float32" in weights or "float16" not in weights:
        raise ValueError(
            f"tflite_fp16 must hold float16 weights only, got {weights}: TensorFlow's converter left them as "
            'they are. Export without "tflite_fp16".'
        )
    path.write_bytes(content)


def write_dynamic(source: Source, path: Path) -> None:
    """Large weights in int8, a quarter of the size; activations stay float32 but for the operator itself.

    Weights of fewer than 1,024 numbers stay float32, and so do those of operators that take no int8.

    Raises:
        ValueError: The model cannot be converted, or no weight was quantised.
    """
    import tensorflow as tf

    content = convert(source, optimizations=[tf.lite.Optimize.DEFAULT])
    weights = contents(content)["weights"]
    if "int8" not in weights and not source.conversion.allow_float:
        raise ValueError(
            f"tflite_dynamic must hold int8 weights, got {weights}: TensorFlow's converter quantises nothing "
            f'with fewer than {SMALL:,} numbers, nor for some operators. Export "tflite_fp16" or '
            '"tflite_int8" in its place, or allow this file with Conversion(allow_float=True).'
        )
    path.write_bytes(content)


def write_int8(source: Source, path: Path) -> None:
    """Weights and activations in int8, biases in int32; ranges are read from the calibration inputs.

    Raises:
        ValueError: The model cannot be converted, or parts of it stayed float.
    """
    import tensorflow as tf

    if _has_loops(source.graph):  # the converter's calibrator would take the whole process down with it
        raise ValueError(
            "tflite_int8 cannot be made of a model with loops, such as recurrent layers: TensorFlow cannot "
            "calibrate them. Build the layers with unroll=True, or export the other formats."
        )
    chosen = source.conversion
    operators = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    content = convert(
        source,
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec=tf.lite.TargetSpec(supported_ops=operators),
        representative_dataset=lambda: _steps(source.calibration),
        inference_input_type=tf.as_dtype(chosen.int8_io),
        inference_output_type=tf.as_dtype(chosen.int8_io),
    )
    found = contents(content)
    stayed = float_parts(content)
    if "int8" not in found["activations"] or (stayed and not chosen.allow_float):
        raise ValueError(
            f"tflite_int8 must compute in whole numbers, but these stayed float: {_in_words(stayed)}. "
            "Replace the layers that use them, or export without them and compute them after the file; or, "
            "where floats are at hand on the device, allow them with Conversion(allow_float=True)."
        )
    path.write_bytes(content)


def _has_loops(graph: Path) -> bool:
    operators = savedmodel.count_operators(graph, savedmodel.SIGNATURE)
    return not {"While", "StatelessWhile"}.isdisjoint(operators)


def _steps(calibration: Inputs) -> Iterator[Inputs]:
    few = subsample(calibration, CALIBRATION)
    for start in range(0, num_examples(few), _STEP):
        yield take_rows(few, slice(start, start + _STEP))


def _in_words(stayed: Sequence[tuple[str, str]]) -> str:
    """Operators with how many there are, and some of the tensors they write.

    Example:
        >>> _in_words([("NEG", "a"), ("SIN", "b"), ("NEG", "c")])
        'NEG (2), SIN (1), at the tensors a, b, c'
    """
    if not stayed:
        return "all of it"
    operators = ", ".join(f"{name} ({many})" for name, many in sorted(Counter(n for n, _ in stayed).items()))
    tensors = [tensor for _, tensor in stayed]
    more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
    return f"{operators}, at the tensors {', '.join(tensors[:_SHOWN])}{more}"


def convert(source: Source, **settings: Any) -> bytes:
    """The model as a TFLite file; one with recurrent loops takes one example at a time.

    Keras's own `export(format="litert")` would trace the model a second time and let Flex operators in.

    Args:
        source: The model and its graphs.
        settings: Attributes of the converter.

    Raises:
        ValueError: An operator has no builtin counterpart.
    """
    if not source.single.exists():
        try:
            return _convert(_graph(source), settings)
        except ValueError as error:
            if _LOOP not in str(error):
                raise
        with in_float32(source.model):
            savedmodel.trace(source.model, source.inputs, source.single, batch=1)
    return _convert(source.single, settings)


def _graph(source: Source) -> Path:
    """The traced graph; of a model in mixed precision, one that computes in float32 with the same weights."""
    if not computes_in_16_bits(source.model):
        return source.graph
    graph = source.graph.with_name("graph_in_float32")
    if not graph.exists():
        with in_float32(source.model):
            savedmodel.trace(source.model, source.inputs, graph)
    return graph


def _convert(graph: Path, settings: dict[str, Any]) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(graph))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    for name, value in settings.items():
        setattr(converter, name, value)
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
    layers = list(dict.fromkeys(map(_layer, _PLACE.findall(message))))
    where = f" (in {', '.join(layers)})" if layers else ""
    return (
        f"The model cannot be converted to TFLite: no builtin operator for {', '.join(names)}{where}. "
        "Replace the layers that use them by such as need other operators, or export without the TFLite "
        "formats."
    )


def _layer(place: str) -> str:
    """The layer in a name of TensorFlow's, which counts how often each was called.

    Example:
        >>> _layer("model_1/encoder_1/smooth_1/Erf"), _layer("model_1/Erf")
        ('smooth', 'model')
    """
    *scopes, operator = place.split("/")
    return re.sub(r"_\d+$", "", scopes[-1] if scopes else operator)


def open_file(path: Path, *, threads: int | None = None) -> tuple[Predict, dict[str, Any]]:
    """Opens a file as `open_content` does; what becomes of it afterwards changes nothing."""
    with as_value_errors(f"{path.name} cannot be opened"):
        content = path.read_bytes()
    return open_content(content, path.name, threads=threads)


def open_content(content: bytes, name: str, *, threads: int | None = None) -> tuple[Predict, dict[str, Any]]:
    """Opens the bytes of a file in LiteRT's interpreter and reads what is inside.

    The interpreter works on these bytes and maps no file, so that they stay in memory as long as it does: as
    many as the file has. Threads take turns, for an interpreter has one set of tensors. An interpreter for
    each would take its memory as often and is hardly faster: LiteRT computes on several cores by itself.

    Args:
        content: Those of a TFLite file.
        name: What errors call it.
        threads: On which it computes; LiteRT's own choice if None.

    Raises:
        ValueError: It is no TFLite file of ours, or holds operators that are not builtin.
    """
    from ai_edge_litert.interpreter import Interpreter

    with as_value_errors(f"{name} cannot be opened"):
        found = contents(content)
    custom = found["custom_operators"]
    if custom:
        raise ValueError(
            f"{name} needs operators that are not builtin: {custom}. LiteRT for Python has none of "
            "them. Run the SavedModel or the Keras model (`l2zoo.load`), or replace the layers that use them "
            "and export the model again."
        )
    with as_value_errors(f"{name} cannot be opened"):
        interpreter = Interpreter(model_content=content, num_threads=threads)
        run = interpreter.get_signature_runner(savedmodel.SIGNATURE)
        takes, gives = run.get_input_details(), run.get_output_details()
        single = any(detail["shape_signature"][0] == 1 for detail in takes.values())
        found["inputs"], found["outputs"] = _specs(takes), _specs(gives)
    first, turn = True, threading.Lock()

    def answer(inputs: Inputs) -> Outputs:
        nonlocal first
        # The runner resizes the batch by itself. An input that the model ignores is not in the file.
        missing = sorted(set(takes) - set(inputs))
        if missing:
            raise ValueError(f"{name} takes {sorted(takes)}, got no {missing}.")
        with without_chatter() if first else contextlib.nullcontext():  # LiteRT writes of its delegate, once
            answers = run(**{key: quantize(inputs[key], detail) for key, detail in takes.items()})
        first = False
        return {key: dequantize(value, gives[key]) for key, value in answers.items()}

    def predict(inputs: Inputs) -> Outputs:
        with turn:
            if not single:
                return answer(inputs)
            each = [answer(take_rows(inputs, slice(i, i + 1))) for i in range(num_examples(inputs))]
        return {key: np.concatenate([one[key] for one in each]) for key in each[0]}

    return predict, found


def quantize(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """`round(values / scale) + zero_point` in the type of an input, as the file's `detail` says; else as is.

    Example:
        >>> quantize(np.array([0.0, 127.4, 300.0]), {"dtype": np.uint8, "quantization": (1.0, 0)}).tolist()
        [0, 127, 255]
    """
    scale, zero_point = detail["quantization"]
    if not scale:
        return values
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def dequantize(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """`(values - zero_point) * scale`, as the file's `detail` of an output says; else as is.

    Example:
        >>> dequantize(np.array([-128, 127], np.int8), {"quantization": (0.5, -128)}).tolist()
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
