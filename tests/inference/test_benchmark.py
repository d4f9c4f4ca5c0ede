"""Timing an artifact's files."""

from __future__ import annotations

import json

import pytest

from l2zoo.artifacts.parity import timing
from l2zoo.inference import benchmark
from l2zoo.inference.benchmark import Latency, latencies


def test_every_file_is_timed_with_every_number_of_threads(classifier) -> None:
    found = latencies(classifier.folder, threads=(1, 2), seconds=0.01)
    assert [(one.format, one.threads) for one in found] == [
        ("tflite", 1), ("tflite", 2), ("tflite_int8", 1), ("tflite_int8", 2),
    ]  # fmt: skip
    for one in found:
        assert 0 < one.p50_ms <= one.p90_ms
        assert one.calls >= timing.FEWEST
        file = {"tflite": "model.tflite", "tflite_int8": "model_int8.tflite"}[one.format]
        assert one.bytes == (classifier.folder / file).stat().st_size
    assert json.loads(json.dumps(found[0].to_dict()))["format"] == "tflite"


def test_table_and_picture_show_every_file(tmp_path) -> None:
    found = [
        Latency("tflite", 1, 1.25, 2.5, 100, 1_234_567, {"accuracy": 0.97}),
        Latency("tflite_int8", 2, 0.00512, 0.0749, 200, 300_000, {}),
    ]
    table = benchmark.table(found)
    assert [column.header for column in table.columns][-1] == "accuracy"
    assert list(table.columns[2].cells) == ["1.25", "0.00512"]
    assert list(table.columns[3].cells) == ["2.50", "0.0749"]
    text = benchmark.picture(found, tmp_path / "bench.svg").read_text()
    assert "1.25 ms, 1,235 kB, accuracy 0.9700" in text
    assert "tflite_int8, 2 threads" in text


def test_bad_arguments_are_refused(classifier, tmp_path) -> None:
    with pytest.raises(ValueError, match="`threads` must be a whole number >= 1, got threads=0"):
        latencies(classifier.folder, threads=(0,))
    with pytest.raises(ValueError, match=r"`format` must be .* got format='onnx'"):
        latencies(classifier.folder, formats=["onnx"])
    with pytest.raises(ValueError, match=r"must end in \.png"):
        benchmark.picture([], tmp_path / "bench.gif")
