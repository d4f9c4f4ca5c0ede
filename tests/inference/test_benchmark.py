"""Timing an artifact's files."""

from __future__ import annotations

import json

import pytest

from l2zoo.artifacts.parity import timing
from l2zoo.inference import benchmark
from l2zoo.inference.benchmark import Latency, measure_latency


def test_every_file_is_timed_with_every_number_of_threads(classifier) -> None:
    found = measure_latency(classifier.folder, threads=(1, 2), seconds=0.01)
    assert [(one.format, one.threads) for one in found] == [
        ("tflite", 1), ("tflite", 2), ("tflite_int8", 1), ("tflite_int8", 2),
    ]  # fmt: skip
    for one in found:
        assert 0 < one.p50_ms <= one.p90_ms
        assert one.calls >= timing.FEWEST
        file = {"tflite": "model.tflite", "tflite_int8": "model_int8.tflite"}[one.format]
        assert one.bytes == (classifier.folder / file).stat().st_size
    assert json.loads(json.dumps(found[0].to_dict()))["format"] == "tflite"


def test_the_table_shows_every_file() -> None:
    found = [
        Latency("tflite", 1, 1.25, 2.5, 100, 1_234_567, {"accuracy": 0.97}),
        Latency("tflite_int8", 2, 0.00512, 0.0749, 200, 300_000, {}),
    ]
    assert benchmark.latency_table(found).markdown().splitlines() == [
        "| format | threads | p50 ms | p90 ms | bytes | accuracy |",
        "|---|--:|--:|--:|--:|--:|",
        "| tflite | 1 | 1.25 | 2.50 | 1,234,567 | 0.9700 |",
        "| tflite_int8 | 2 | 0.00512 | 0.0749 | 300,000 |  |",
    ]


def test_bad_arguments_are_refused(classifier) -> None:
    with pytest.raises(ValueError, match="`threads` must be a whole number >= 1, got threads=0"):
        measure_latency(classifier.folder, threads=(0,))
    with pytest.raises(ValueError, match=r"`format` must be .* got format='onnx'"):
        measure_latency(classifier.folder, formats=["onnx"])
