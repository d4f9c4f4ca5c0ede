"""The loop that goes on with clips, around steps whose answers are known."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import pytest

from l2zoo.tasks.video import rollout
from tests.processes import output_of

SHAPES = {"state0": (1, 1, 1)}


def summing(inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The next frame is the sum of all seen."""
    total = inputs["state0"] + inputs["frame"]
    return {"next": total, "state0": total}


def frames(*values: float) -> np.ndarray:
    return np.array(values, "float32").reshape(1, -1, 1, 1, 1)


def test_a_rollout_is_fed_what_it_answered() -> None:
    found = rollout.rollout(summing, frames(1, 2), 4, states=SHAPES)
    assert found.ravel().tolist() == [3, 6, 12, 24]
    assert found.shape == (1, 4, 1, 1, 1)
    assert found.dtype == np.float32


def test_batches_are_continued_one_after_another_and_told_of() -> None:
    told: list[tuple[int, int]] = []
    given = np.concatenate([frames(1, 2), frames(0, 1), frames(3, 3)])
    found = rollout.rollout(
        summing, given, 2, states=SHAPES, batch_size=2, watch=lambda *counts: told.append(counts)
    )
    np.testing.assert_array_equal(found, rollout.rollout(summing, given, 2, states=SHAPES))
    assert found[:, :, 0, 0, 0].tolist() == [[3, 6], [1, 2], [6, 12]]
    assert told == [(i, 6) for i in range(1, 7)]  # two batches, each of two frames seen and one more


def test_next_frames_are_fed_the_truth() -> None:
    assert rollout.next_frames(summing, frames(1, 2, 5), states=SHAPES).ravel().tolist() == [1, 3, 8]


def test_what_the_step_is_given_for_the_last_frame() -> None:
    found = rollout.step_inputs(summing, frames(1, 2, 5), states=SHAPES)
    assert {name: value.ravel().tolist() for name, value in found.items()} == {"frame": [5], "state0": [3]}


def test_clips_do_not_touch_each_other() -> None:
    both = np.concatenate([frames(1, 2), frames(10, 20)])
    found = rollout.rollout(summing, both, 2, states=SHAPES)
    assert found[..., 0, 0, 0].tolist() == [[3, 6], [30, 60]]


def test_a_step_is_given_floats() -> None:
    seen = []

    def step(inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        seen.append({name: value.dtype for name, value in inputs.items()})
        return summing(inputs)

    rollout.rollout(step, frames(1, 2).astype("uint8"), 1, states=SHAPES)
    assert seen == 2 * [{"frame": np.float32, "state0": np.float32}]


@pytest.mark.parametrize(
    ("given", "length", "error", "message"),
    [
        (frames(1), 1, ValueError, "must be at least 2 of each clip, as one shows no motion, got 1"),
        (frames(1, 2)[0], 1, ValueError, r"must have shape \(N, T, H, W, C\)"),
        (frames(1, 2), 0, ValueError, "`length` must be a whole number >= 1, got length=0"),
        (frames(1, 2), 1.5, TypeError, "`length` must be a whole number >= 1, got length=1.5"),
        (frames(1, 2), True, TypeError, "`length` must be a whole number >= 1, got length=True"),
    ],
)
def test_bad_arguments_are_refused(given: np.ndarray, length: int, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        rollout.rollout(summing, given, length, states=SHAPES)


def test_it_needs_numpy_alone() -> None:
    code = (
        "import sys, l2zoo.tasks.video.rollout;"
        "print(sorted({'keras', 'tensorflow', 'scipy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    assert output_of([sys.executable, "-c", code]) == "[]\n"
