"""A TFLite file is walked no further than a file of its size can hold."""

from __future__ import annotations

import time

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from l2zoo.artifacts.formats.inspect_tflite import contents, float_parts
from l2zoo.artifacts.formats.tflite import open_content


def with_shared(*, tensors: int = 1, graphs: int = 1, operators: int = 0, reads: int = 0) -> bytes:
    """A file in which all tensors, graphs and operators are one and the same table, named many times."""
    build = flatbuffers.Builder(0)

    def repeated(table: int, count: int) -> int:
        build.StartVector(4, count, 4)
        for _ in range(count):
            build.PrependUOffsetTRelative(table)
        return build.EndVector()

    schema.BufferStart(build)
    buffers = repeated(schema.BufferEnd(build), 1)
    schema.OperatorCodeStart(build)
    codes = repeated(schema.OperatorCodeEnd(build), 1)
    name = build.CreateString("one")
    schema.TensorStart(build)
    schema.TensorAddName(build, name)
    tensor = schema.TensorEnd(build)
    schema.OperatorStartInputsVector(build, reads)
    for _ in range(reads):
        build.PrependInt32(0)
    inputs = build.EndVector()
    schema.OperatorStart(build)
    schema.OperatorAddInputs(build, inputs)
    operator = schema.OperatorEnd(build)
    own, run = repeated(tensor, tensors), repeated(operator, operators)
    schema.SubGraphStart(build)
    schema.SubGraphAddTensors(build, own)
    schema.SubGraphAddOperators(build, run)
    every = repeated(schema.SubGraphEnd(build), graphs)
    schema.ModelStart(build)
    schema.ModelAddOperatorCodes(build, codes)
    schema.ModelAddSubgraphs(build, every)
    schema.ModelAddBuffers(build, buffers)
    build.Finish(schema.ModelEnd(build), b"TFL3")
    return bytes(build.Output())


def test_a_file_that_names_its_tables_once_is_counted():
    found = contents(with_shared(tensors=1, operators=1, reads=1))
    assert (found["operators"], found["activations"]) == ({"ADD": 1}, {"float32": 1})


@pytest.mark.parametrize(
    "many",
    [
        {"tensors": 2500, "graphs": 2500},
        {"operators": 2500, "graphs": 2500},
        {"operators": 2500, "reads": 2500},
        {"operators": 100, "reads": 100, "graphs": 2500},
    ],
    ids=str,
)
def test_tables_that_are_shared_do_not_multiply(many):
    content = with_shared(**many)
    assert len(content) < 25_000
    start = time.process_time()
    for read in (contents, float_parts):
        with pytest.raises(ValueError, match="names its tables again and again"):
            read(content)
    with pytest.raises(ValueError, match="m cannot be opened: it names its tables again and again"):
        open_content(content, "m")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("position", [3, 40, 41])
def test_counts_that_a_file_cannot_hold_are_not_believed(position):
    content = bytearray(with_shared())
    content[position] = 0xFF
    start = time.process_time()
    with pytest.raises(ValueError, match="m cannot be opened"):
        open_content(bytes(content), "m")
    assert time.process_time() - start < 2
