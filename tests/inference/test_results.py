"""What a result prints: what is said, in a few words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from l2zoo.inference.results import (
    Classified,
    Detected,
    Estimated,
    Labelled,
    OverlappingMasks,
    Result,
    Segmented,
)

NAMES = ["cat", "dog"]
HALF = np.array([0.5, 0.5], np.float32)


def boxes(count: int) -> Detected:
    scores = np.linspace(0.9, 0.4, count, dtype=np.float32)
    return Detected(np.zeros((count, 4), np.float32), scores, np.zeros(count, int), NAMES)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Classified(np.array([0.25, 0.75], np.float32), NAMES), "Classified('dog' 0.75, 'cat' 0.25)"),
        (Labelled(np.array([0.2, 0.9], np.float32), NAMES, HALF), "Labelled('dog' 0.90)"),
        (Labelled(np.array([0.2, 0.1], np.float32), NAMES, HALF), "Labelled(nothing)"),
        (Segmented(np.eye(4, dtype=np.uint8), NAMES), "Segmented('cat' 0.75, 'dog' 0.25)"),
        (OverlappingMasks(np.zeros((2, 2, 2), bool), NAMES), "OverlappingMasks(nothing)"),
        (Estimated(np.array([1.5, 2.0], np.float32)), "Estimated(1.5, 2)"),
        (Estimated(np.zeros((4, 4, 2), np.float32)), "Estimated((4, 4, 2))"),
        (boxes(0), "Detected(nothing)"),
        (boxes(2), "Detected('cat' 0.90, 'cat' 0.40)"),
        (boxes(9), "and 4 more)"),
        (Classified(HALF, NAMES, path=Path("a\x1b[2J.png")), r"path='a\x1b[2J.png')"),
    ],
)
def test_a_result_prints_what_it_says(result: Result, said: str) -> None:
    assert repr(result).endswith(said)
    assert len(repr(result)) < 120
