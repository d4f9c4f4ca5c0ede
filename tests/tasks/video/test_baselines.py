"""The rules that learn nothing, on a square whose way is known."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.tasks.video.baselines import BASELINES, copy_last_frame, extrapolate, frame_shifts, shift_frames


def square(*ways: tuple[int, int], frames: int = 6, side: int = 16) -> np.ndarray:
    """A clip `(T, H, W, 1)` for each way: a square of 4 pixels at (5, 5), that moves so far every frame."""
    clips = np.zeros((len(ways), frames, side, side, 1), "uint8")
    for clip, (down, right) in zip(clips, ways, strict=True):
        for time in range(frames):
            top, left = 5 + down * time, 5 + right * time
            clip[time, top : top + 4, left : left + 4] = 200
    return clips


CLIPS = square((1, 0), (0, -1), (-1, 1), (0, 0))


def test_the_last_frame_is_copied() -> None:
    np.testing.assert_array_equal(copy_last_frame(CLIPS[:, :3], 2), CLIPS[:, [2, 2]])


def test_pixels_change_on_and_stay_pixels() -> None:
    ramp = np.array([100.0, 90.0, 70.0]).reshape(1, 3, 1, 1, 1)
    assert extrapolate(ramp, 5).ravel().tolist() == [50, 30, 10, 0, 0]
    x = CLIPS[:1, :2].astype(float)
    np.testing.assert_array_equal(extrapolate(x, 1)[:, 0], np.clip(2 * x[:, 1] - x[:, 0], 0, 255))


def test_the_way_of_a_square_is_found() -> None:
    assert frame_shifts(CLIPS[:, 2], CLIPS[:, 3]).tolist() == [[1, 0], [0, -1], [-1, 1], [0, 0]]


def test_a_square_that_moves_straight_is_foreseen() -> None:
    np.testing.assert_array_equal(shift_frames(CLIPS[:, :3], 3), CLIPS[:, 3:])


def test_colours_move_together() -> None:
    colours = CLIPS * np.array([1, 0.5, 0.25])
    np.testing.assert_array_equal(shift_frames(colours[:, :3], 3), colours[:, 3:].astype("float32"))


def test_what_comes_in_at_an_edge_is_the_pixel_that_was_there() -> None:
    clip = np.broadcast_to(np.arange(8.0)[:, None], (1, 2, 8, 8))[..., None].copy()
    clip[0, 1, 1:] = clip[0, 0, :-1]
    clip[0, 1, 0] = 7  # as if it had gone around, so that the way is known exactly
    assert shift_frames(clip, 1)[0, 0, :, 0, 0].tolist() == [7, 7, 0, 1, 2, 3, 4, 5]


def test_frames_of_nothing_stay() -> None:
    nothing = np.zeros((2, 2, 8, 8, 1))
    for rule in BASELINES.values():
        np.testing.assert_array_equal(rule(nothing, 3), np.zeros((2, 3, 8, 8, 1)))


@pytest.mark.parametrize("name", BASELINES)
def test_bad_arguments_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be at least 2 of each clip"):
        BASELINES[name](CLIPS[:, :1], 1)
    with pytest.raises(ValueError, match="`length` must be a whole number >= 1, got length=0"):
        BASELINES[name](CLIPS, 0)
