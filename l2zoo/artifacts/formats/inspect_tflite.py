"""What is in a TFLite file, read from the file's own tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# They carry numbers over the border between floats and whole or quantised numbers, and compute nothing.
BORDERS = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})
SMALL = 1024  # numbers below which TensorFlow's converter leaves a weight as it is, where only weights shrink
_FLOATS = frozenset({"float16", "float32", "float64"})
_TIMES = 2  # as many bytes as a file has may be read; of what TensorFlow writes it is a tenth
_ENTRY, _NUMBER = (
    8,
    4,
)  # bytes that a table takes at least, with the offset that leads to it; those of a number
_DIMENSIONS = 32  # of a tensor; LiteRT takes 8


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file: its name, type, whether its numbers stand in the file, and how many they are."""

    name: str
    dtype: str
    constant: bool
    numbers: int


@dataclass(frozen=True)
class Operator:
    """An operator of the file with the tensors it reads and writes."""

    name: str
    custom: bool
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]


def contents(content: bytes) -> dict[str, Any]:
    """Counts the operators and the types of numbers in a TFLite file.

    Args:
        content: The file, of whomever: no more of it is read than a file of its size can hold.

    Returns:
        `operators` and `custom_operators` by name, and `weights` (constants) and `activations` by dtype. For
        a file with quantised activations also `float`, what stayed float all the same; for one with quantised
        weights alone `float_weights`, the large ones that stayed float32, by name with how many numbers.

    Raises:
        ValueError: It names its tables again and again, or such as are not there.
        Exception: Of many kinds: it is no TFLite file.
    """
    tensors, operators = _read(content)
    found = {
        "operators": _tally(one.name for one in operators if not one.custom),
        "custom_operators": _tally(one.name for one in operators if one.custom),
        "weights": _tally(one.dtype for one in tensors if one.constant),
        "activations": _tally(one.dtype for one in tensors if not one.constant),
    }
    if "int8" in found["activations"]:
        found["float"] = _tally(name for name, _ in _float_parts(tensors, operators))
    elif "int8" in found["weights"]:
        found["float_weights"] = {one.name: one.numbers for one in tensors if _is_large_float(one)}
    return found


def float_parts(content: bytes) -> list[tuple[str, str]]:
    """What a TFLite file computes in floats: each operator with the name of a tensor it writes.

    An operator counts if it reads or writes floats, unless it only carries numbers over the border: QUANTIZE,
    DEQUANTIZE, and CAST to or from whole numbers. Constants of floats count under the name `weights`.
    """
    return _float_parts(*_read(content))


def _float_parts(tensors: list[Tensor], operators: list[Operator]) -> list[tuple[str, str]]:
    found = [
        (one.name, one.writes[0].name)
        for one in operators
        if one.name not in BORDERS and any(part.dtype in _FLOATS for part in one.reads + one.writes)
    ]
    return found + [("weights", one.name) for one in tensors if one.constant and one.dtype in _FLOATS]


def _is_large_float(tensor: Tensor) -> bool:
    return tensor.constant and tensor.dtype == "float32" and tensor.numbers >= SMALL


class _Budget:
    """How much may still be read of a file.

    Tables of a flatbuffer may be named from many places, so that a file of a few kilobytes can hold billions
    of entries for who walks it, and the library for Python has no check of its own. What TensorFlow writes is
    named once: whoever has read a few times as many bytes as there are goes in circles.
    """

    def __init__(self, size: int) -> None:
        self._left = _TIMES * size

    def take(self, count: int, size: int) -> range:
        """The places of `count` entries of so many bytes, if they may be read.

        Raises:
            ValueError: They are more than the file can hold.
        """
        self._left -= count * size
        if self._left < 0:
            raise ValueError("it names its tables again and again, as no converter does")
        return range(count)


def _read(content: bytes) -> tuple[list[Tensor], list[Operator]]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)  # which reads what it is asked for, and nothing before
    budget = _Budget(len(content))
    builtin, dtypes = _names(schema.BuiltinOperator), _names(schema.TensorType)
    tensors: list[Tensor] = []
    operators = []
    for number in budget.take(model.SubgraphsLength(), _ENTRY):
        graph = model.Subgraphs(number)
        own = [
            _tensor(graph.Tensors(i), model, dtypes, budget)
            for i in budget.take(graph.TensorsLength(), _ENTRY)
        ]
        for i in budget.take(graph.OperatorsLength(), _ENTRY):
            one = graph.Operators(i)
            name, custom = _operator_name(model, one.OpcodeIndex(), builtin, budget)
            reads = _at(own, [one.Inputs(k) for k in budget.take(one.InputsLength(), _NUMBER)])
            writes = _at(own, [one.Outputs(k) for k in budget.take(one.OutputsLength(), _NUMBER)])
            operators.append(Operator(name, custom, reads, writes))
        tensors += own
    return tensors, operators


def _operator_name(model: Any, place: int, builtin: dict[int, str], budget: _Budget) -> tuple[str, bool]:
    """The name of an operator, and whether it is none of the builtin ones."""
    from ai_edge_litert import schema_py_generated as schema

    code = model.OperatorCodes(_inside(place, model.OperatorCodesLength()))
    # Codes up to 127 once had a field of one byte, which old readers still look at.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number != schema.BuiltinOperator.CUSTOM:
        return builtin[number], False
    return _text(code.CustomCode(), budget), True


def _at(tensors: list[Tensor], places: Sequence[int]) -> tuple[Tensor, ...]:
    """Tensors by their numbers; -1 stands for an input that is left out."""
    return tuple(tensors[place] for place in places if place >= 0)


def _tensor(tensor: Any, model: Any, dtypes: dict[int, str], budget: _Budget) -> Tensor:
    buffer = model.Buffers(_inside(tensor.Buffer(), model.BuffersLength()))
    # Data of files beyond 2 GB lie behind the tables, at an offset.
    constant = buffer.DataLength() > 0 or buffer.Size() > 1
    if tensor.ShapeLength() > _DIMENSIONS:
        raise ValueError(f"a tensor has {tensor.ShapeLength()} dimensions")
    shape = [tensor.Shape(i) for i in budget.take(tensor.ShapeLength(), _NUMBER)]
    return Tensor(_text(tensor.Name(), budget), dtypes[tensor.Type()].lower(), constant, math.prod(shape))


def _text(content: bytes | None, budget: _Budget) -> str:
    budget.take(len(content or b""), 1)
    return (content or b"").decode()


def _inside(place: int, length: int) -> int:
    """The place of an entry, which the library does not compare with the length of its vector."""
    if place >= length:
        raise ValueError(f"it names entry {place} of {length}")
    return place


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
