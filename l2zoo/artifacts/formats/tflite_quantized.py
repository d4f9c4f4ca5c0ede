"""Smaller TFLite files: weights in float16, weights in int8, and everything in int8.

TensorFlow's converter leaves in float what it cannot or will not quantise, and does not say so. Here the file
is read. A full int8 file is refused, with the names of what stayed float, unless that is allowed. A file with
weights in int8 is refused if none is; else the manifest and the card name the large ones that stayed float.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from l2zoo.artifacts import feeding
from l2zoo.artifacts.formats import graphdef
from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.formats.inspect_tflite import SMALL, contents, float_parts
from l2zoo.artifacts.formats.savedmodel import SIGNATURE
from l2zoo.artifacts.formats.tflite import converted
from l2zoo.artifacts.inputs import Inputs

CALIBRATION = 200  # examples at most, from which the ranges of activations are read
_STEP = 8  # of them at once
_SHOWN = 5


def write_fp16(source: Source, path: Path) -> None:
    """Weights in float16, half the size; computed in float32, or in float16 on a GPU.

    Raises:
        ValueError: The model cannot be converted, or weights stayed float32.
    """
    import tensorflow as tf

    target = tf.lite.TargetSpec(supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS], supported_types=[tf.float16])
    content = converted(source, optimizations=[tf.lite.Optimize.DEFAULT], target_spec=target)
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

    content = converted(source, optimizations=[tf.lite.Optimize.DEFAULT])
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
    content = converted(
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
            f"tflite_int8 must compute in whole numbers, but these stayed float: {in_words(stayed)}. Replace "
            "the layers that use them, or export without them and compute them after the file; or, where "
            "floats are at hand on the device, allow them with Conversion(allow_float=True)."
        )
    path.write_bytes(content)


def in_words(stayed: Sequence[tuple[str, str]]) -> str:
    """Operators with how many there are, and some of the tensors they write.

    Example:
        >>> in_words([("NEG", "a"), ("SIN", "b"), ("NEG", "c")])
        'NEG (2), SIN (1), at the tensors a, b, c'
    """
    if not stayed:
        return "all of it"
    operators = ", ".join(f"{name} ({many})" for name, many in sorted(Counter(n for n, _ in stayed).items()))
    tensors = [tensor for _, tensor in stayed]
    more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
    return f"{operators}, at the tensors {', '.join(tensors[:_SHOWN])}{more}"


def _has_loops(graph: Path) -> bool:
    return not {"While", "StatelessWhile"}.isdisjoint(graphdef.operators(graph, SIGNATURE))


def _steps(calibration: Inputs) -> Iterator[Inputs]:
    few = feeding.spread(calibration, CALIBRATION)
    for start in range(0, feeding.count(few), _STEP):
        yield feeding.fed(few, slice(start, start + _STEP))
