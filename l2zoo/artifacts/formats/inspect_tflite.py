"""What is in a TFLite file, read from the file's own tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# They carry numbers over the border between floats and whole or quantised numbers, and compute nothing.
BORDERS = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})
SMALL = 1024  # numbers below which TensorFlow's converter leaves a weight as it is, where only weights shrink
_FLOATS = frozenset({"float16", "float32", "float64"})


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
        content: The file. It must come from a trusted place or have passed its checksum.

    Returns:
        `operators` and `custom_operators` by name, and `weights` (constants) and `activations` by dtype. For
        a file with quantised activations also `float`, what stayed float all the same; for one with quantised
        weights alone `float_weights`, the large ones that stayed float32, by name with how many numbers.
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


def _read(content: bytes) -> tuple[list[Tensor], list[Operator]]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)  # numbers stay where they are: 0.5 MB for 240 MB
    builtin, dtypes = _names(schema.BuiltinOperator), _names(schema.TensorType)
    tensors: list[Tensor] = []
    operators = []
    for graph in model.subgraphs:
        own = [_tensor(one, model.buffers[one.buffer], dtypes) for one in graph.tensors]
        for one in graph.operators or ():
            code = model.operatorCodes[one.opcodeIndex]
            # Codes up to 127 once had a field of one byte, which old readers still look at.
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            custom = number == schema.BuiltinOperator.CUSTOM
            name = code.customCode.decode() if custom else builtin[number]
            operators.append(Operator(name, custom, _at(own, one.inputs), _at(own, one.outputs)))
        tensors += own
    return tensors, operators


def _at(tensors: list[Tensor], places: Any) -> tuple[Tensor, ...]:
    """Tensors by their numbers; -1 stands for an input that is left out, None for none at all."""
    return () if places is None else tuple(tensors[place] for place in places if place >= 0)


def _tensor(tensor: Any, buffer: Any, dtypes: dict[int, str]) -> Tensor:
    # Data of files beyond 2 GB lie behind the tables, at an offset.
    constant = (buffer.data is not None and len(buffer.data) > 0) or buffer.size > 1
    numbers = 1 if tensor.shape is None else math.prod(map(int, tensor.shape))
    return Tensor((tensor.name or b"").decode(), dtypes[tensor.type].lower(), constant, numbers)


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
