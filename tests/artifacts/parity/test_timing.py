"""Timing a file, by a clock of our own."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.artifacts.parity import timing


def test_percentiles_are_those_of_the_calls_after_the_first_few(monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock: the end is set, then each call's start and end, and a look at the end after the fewest.
    steps = [0.0, *[0.0, 0.001] * 18, *[0.0, 0.005] * 2, 0.0]
    clock = iter(np.cumsum(steps))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    seen = []
    images = np.arange(3.0).reshape(3, 1).astype("float32")
    times = timing.milliseconds(
        lambda batch: seen.append(float(batch["images"][0, 0])), {"images": images}, seconds=0.0
    )
    assert times == pytest.approx([1.0] * 18 + [5.0] * 2)
    assert seen[:5] == [0, 1, 2, 0, 1]  # warming up
    assert seen[5:9] == [0, 1, 2, 0]
    assert timing.percentiles(times) == (pytest.approx(1.0), pytest.approx(1.4))
