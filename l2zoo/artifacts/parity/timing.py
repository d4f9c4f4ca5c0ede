"""How long a file takes for one example after the other."""

from __future__ import annotations

import time

import numpy as np

from l2zoo.artifacts.inputs import Inputs, Predict, num_examples, take_rows

WARM, FEWEST = 5, 20  # calls before the clock runs, and at least while it does


def milliseconds(predict: Predict, inputs: Inputs, *, seconds: float) -> np.ndarray:
    """Milliseconds of each of at least 20 calls, on one example at a time, again and again.

    Args:
        predict: What runs the file.
        inputs: Real inputs.
        seconds: How long the calls go on.
    """
    singles = [take_rows(inputs, slice(i, i + 1)) for i in range(num_examples(inputs))]
    for number in range(WARM):
        predict(singles[number % len(singles)])
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < FEWEST or time.perf_counter() < end:
        started = time.perf_counter()
        predict(singles[len(times) % len(singles)])
        times.append((time.perf_counter() - started) * 1e3)
    return np.array(times)


def percentiles(times: np.ndarray) -> tuple[float, float]:
    """Within which time half of the calls came back, and nine in ten."""
    p50, p90 = np.percentile(times, [50, 90])
    return float(p50), float(p90)
