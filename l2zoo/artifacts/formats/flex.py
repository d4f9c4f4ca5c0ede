"""TFLite files with Flex operators, run part by part: the builtin ones by LiteRT, the others by TensorFlow.

On a device the Flex delegate does the same. The interpreters for Python have none: LiteRT's never had, and
TensorFlow's lost it with version 2.20. So that such a file can be compared with the model all the same, it is
taken apart at its Flex operators, and what lies between them becomes files of its own, in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

PREFIX = "Flex"  # begins the names of operators that are TensorFlow's
_IDENTIFIER = b"TFL3"
_RUN = Callable[..., Sequence[np.ndarray]]


class Parts:
    """A TFLite file that runs like LiteRT's signature runner: arrays by name to arrays by name.

    Args:
        content: The file.
        takes: LiteRT's details of its inputs, by name.
        gives: Likewise of its outputs.

    Raises:
        ValueError: Custom operators that are not Flex, or Flex operators in loops or conditions.
    """

    def __init__(self, content: bytes, takes: dict[str, Any], gives: dict[str, Any]):
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._takes = {name: detail["index"] for name, detail in takes.items()}
        self._gives = {name: detail["index"] for name, detail in gives.items()}
        main, *bodies = model.subgraphs
        if any(_custom(model, one) for body in bodies for one in body.operators):
            raise ValueError("Flex operators in loops or conditions cannot be run outside of a device.")
        self._constants = dict(_constants(model, main, schema))
        self._steps = list(self._parts(model, main))

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        known = self._constants | {self._takes[name]: array for name, array in arrays.items()}
        for reads, writes, run in self._steps:
            known.update(zip(writes, run(*(known[index] for index in reads)), strict=True))
        return {name: known[index] for name, index in self._gives.items()}

    def _parts(self, model: Any, main: Any) -> Iterator[tuple[list[int], list[int], _RUN]]:
        """What each part reads and writes, as numbers of tensors, and how it is run."""
        operators = list(main.operators)
        for custom, group in itertools.groupby(operators, lambda one: _custom(model, one)):
            part = list(group)
            if custom:
                for one in part:
                    yield list(one.inputs), list(one.outputs), _by_tensorflow(_node(one), len(one.outputs))
                continue
            written = {index for one in part for index in one.outputs}
            read = {index for one in part for index in one.inputs if index >= 0} - written
            reads = sorted(read - self._constants.keys())
            after = [one for one in operators if not any(one is own for own in part)]
            asked = {index for one in after for index in one.inputs} | set(self._gives.values())
            writes = sorted(written & asked)
            yield reads, writes, _by_litert(_file(model, main, part, reads, writes), reads, writes)


def _custom(model: Any, operator: Any) -> str:
    """The name of an operator that is not builtin; empty for one that is."""
    name = model.operatorCodes[operator.opcodeIndex].customCode
    if name and not name.startswith(PREFIX.encode()):
        raise ValueError(f"The operator {name.decode()} is neither builtin nor TensorFlow's.")
    return name.decode() if name else ""


def _constants(model: Any, main: Any, schema: Any) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers that stand in the file, by their tensor."""
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    for index, tensor in enumerate(main.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data) and names[tensor.type] != "STRING":
            numbers = np.frombuffer(bytes(data), names[tensor.type].lower())
            yield index, numbers.reshape([] if tensor.shape is None else tensor.shape)


def _file(model: Any, main: Any, part: list[Any], reads: list[int], writes: list[int]) -> bytes:
    """The file with some of its operators alone."""
    import flatbuffers

    whole = main.operators, main.inputs, main.outputs, model.signatureDefs
    main.operators, main.inputs, main.outputs, model.signatureDefs = part, reads, writes, None
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    main.operators, main.inputs, main.outputs, model.signatureDefs = whole
    return bytes(builder.Output())


def _by_litert(content: bytes, reads: list[int], writes: list[int]) -> _RUN:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # A part may hand weights that it unpacked to another, which LiteRT's fastest kernels do not expect.
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        for index, array in zip(reads, arrays, strict=True):
            interpreter.resize_tensor_input(index, array.shape)
        interpreter.allocate_tensors()
        for index, array in zip(reads, arrays, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in writes]

    return run


def _node(operator: Any) -> Any:
    """The operator as TensorFlow describes it, which stands in the file as a list of its name and this."""
    from flatbuffers import flexbuffers
    from tensorflow.core.framework import node_def_pb2

    parts = flexbuffers.GetRoot(bytes(operator.customOptions)).AsVector
    return node_def_pb2.NodeDef.FromString(bytes(parts[1].AsStringBytes))


def _by_tensorflow(node: Any, outputs: int) -> _RUN:
    import tensorflow as tf

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        graph = tf.Graph()
        with graph.as_default():
            feeds = [tf.compat.v1.placeholder(array.dtype, array.shape) for array in arrays]
            definition = graph.as_graph_def()
            node.ClearField("input")
            node.input.extend(feed.name for feed in feeds)
            node.name = "flex"
            definition.node.add().CopyFrom(node)
        names = [f"flex:{index}" for index in range(outputs)]
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(definition, name=""), signature=[]
        )
        pruned = wrapped.prune([feed.name for feed in feeds], names)
        return [value.numpy() for value in pruned(*map(tf.constant, arrays))]

    return run
