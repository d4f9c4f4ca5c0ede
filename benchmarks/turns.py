"""Sides that take turns, so that a busy machine slows them alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def in_turns(
    calls: dict[str, Callable[[], Any]], rounds: int, *, many: int = 1, clocked: bool = False
) -> dict[str, np.ndarray]:
    """Seconds of each call in each round, `(rounds,)` by name; one more round, the first, is not counted.

    Args:
        calls: What is timed, by name.
        rounds: At least 1.
        many: How often a call is made in a round; the mean counts.
        clocked: Whether calls give the seconds themselves.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            given = [call() for _ in range(many)]
            seconds = float(np.mean(given)) if clocked else (time.perf_counter() - started) / many
            if number:  # the first round traces
                times[name].append(seconds)
    return {name: np.array(seconds) for name, seconds in times.items()}


def median_ratio(one: np.ndarray, other: np.ndarray) -> float:
    """The median over the rounds of how many times as long one takes."""
    return float(np.median(one / other))
