"""How files are converted: what a caller may choose, and what every format is written from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from l2zoo.artifacts.inputs import Given, Inputs
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import one_of

if TYPE_CHECKING:
    import keras

Numbers = Literal["float32", "uint8", "int8"]


@suggest_arguments
@dataclass(frozen=True, kw_only=True, eq=False)  # arrays are not equal or unequal as a whole
class Conversion:
    """Choices for the formats that are converted.

    Args:
        calibration: Real inputs from which the ranges of the activations are read, best of the training set,
            in the form of `sample`; if None, the sample. At most 200 are used, evenly spread.
        int8_io: What goes in and out of `"tflite_int8"`. With `"float32"` the file converts by itself; with
            `"uint8"` or `"int8"` the caller does, by the scale and zero point that stand in the file and in
            the manifest. Inputs and outputs that are whole numbers stay int32.
        allow_float: Ships `"tflite_int8"` though operators or weights stayed float, and `"tflite_dynamic"`
            though every weight did; the manifest and the card say which. A microcontroller or an accelerator
            for integers cannot run such a file; a phone can. (A `"tflite_dynamic"` file with some weights in
            int8 is shipped anyway, and those of 1,024 numbers or more that stayed float32 are named.)
    """

    calibration: Given | None = None
    int8_io: Numbers = "float32"
    allow_float: bool = False

    def __post_init__(self) -> None:
        one_of("int8_io", self.int8_io, get_args(Numbers))
        if not isinstance(self.allow_float, bool):
            raise TypeError(f"`allow_float` must be True or False, got allow_float={self.allow_float!r}.")


@dataclass(frozen=True)
class Source:
    """What every format is written from.

    Args:
        model: The Keras model.
        graph: The SavedModel traced from it, with an open batch.
        single: Where a SavedModel for one example at a time may be traced.
        inputs: Real inputs, whose shapes and types are the exported ones.
        outputs: Names of the outputs, in the order in which a graph lists them.
        calibration: Real inputs to read ranges from.
        conversion: The caller's choices.
    """

    model: keras.Model
    graph: Path
    single: Path
    inputs: Inputs
    outputs: tuple[str, ...]
    calibration: Inputs
    conversion: Conversion


def computes_in_16_bits(model: keras.Model) -> bool:
    """Whether layers of a model compute in mixed precision, for which TFLite has no operators."""
    return bool(_mixed_layers(model))


@contextlib.contextmanager
def in_float32(model: keras.Model) -> Iterator[None]:
    """Lets the layers that compute in mixed precision compute in float32, as their weights are."""
    before = [(layer, layer.dtype_policy) for layer in _mixed_layers(model)]
    try:
        for layer, _ in before:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, own in before:
            layer.dtype_policy = own


def _mixed_layers(model: keras.Model) -> list[keras.layers.Layer]:
    from l2zoo.regularization.weights import layers_of

    names = ("mixed_float16", "mixed_bfloat16")
    return [layer for layer in layers_of(model) if layer.dtype_policy.name in names]
