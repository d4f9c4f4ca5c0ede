"""How clips go on by rules that learn nothing: what a model must beat.

Each takes frames `(N, T, H, W, C)` with pixels in [0, 255], at least two, and gives the `length` frames that
follow, `(N, length, H, W, C)`, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from l2zoo.tasks.video.rollout import check_frames
from l2zoo.utils.validation import whole_number

TINY = 1e-6  # of the largest frequency: below, there is nothing whose phase could be known


def copy_last_frame(frames: np.ndarray, length: int) -> np.ndarray:
    """The last frame again and again.

    Example:
        >>> copy_last_frame(np.arange(3.0).reshape(1, 3, 1, 1, 1), 2).ravel()
        array([2., 2.], dtype=float32)
    """
    last = check_frames(frames)[:, -1:].astype(np.float32)
    return np.repeat(last, whole_number("length", length, at_least=1), axis=1)


def extrapolate(frames: np.ndarray, length: int) -> np.ndarray:
    """Every pixel changes on as it did from the last frame but one to the last: `x + k * (x - before)`.

    It is cut to [0, 255]. Good for light that changes slowly; a thing that moves leaves a double behind.

    Example:
        >>> extrapolate(np.array([100.0, 150.0]).reshape(1, 2, 1, 1, 1), 3).ravel()
        array([200., 250., 255.], dtype=float32)
    """
    before, last = check_frames(frames)[:, -2:].astype(np.float32).swapaxes(0, 1)
    times = np.arange(1, whole_number("length", length, at_least=1) + 1, dtype=np.float32)
    following = last[:, None] + times[:, None, None, None] * (last - before)[:, None]
    return np.clip(following, 0.0, 255.0)


def shift_frames(frames: np.ndarray, length: int) -> np.ndarray:
    """The whole frame moves on as it moved from the last frame but one to the last, by whole pixels.

    How far that was is found by phase correlation. What comes in at an edge is the pixel that was there.
    Good where the camera moves, or one thing alone.

    References:
        Kuglin and Hines 1975, The Phase Correlation Image Alignment Method.
    """
    frames, length = check_frames(frames), whole_number("length", length, at_least=1)
    count, _, height, width, _ = frames.shape
    last, ways = frames[:, -1].astype(np.float32), frame_shifts(frames[:, -2], frames[:, -1])
    found = np.empty((count, length, *last.shape[1:]), np.float32)
    for clip, (down, right) in enumerate(ways):
        for time in range(length):
            rows = np.clip(np.arange(height) - (time + 1) * down, 0, height - 1)
            columns = np.clip(np.arange(width) - (time + 1) * right, 0, width - 1)
            found[clip, time] = last[clip][rows[:, None], columns]
    return found


def frame_shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far frames moved down and to the right, by phase correlation of their channels' sums.

    Args:
        before: `(N, H, W, C)`.
        after: Of the same shape.

    Returns:
        `(N, 2)`, whole pixels, at most half of the frame's sides.
    """
    sides = before.shape[1:3]
    first, second = (np.fft.rfft2(frames.sum(axis=-1, dtype=np.float64)) for frames in (before, after))
    cross = second * first.conj()
    size = np.abs(cross)
    known = size > TINY * size.max(axis=(1, 2), keepdims=True)
    phases = np.divide(cross, size, out=np.zeros_like(cross), where=known)
    peaks = np.fft.irfft2(phases, s=sides).reshape(len(before), -1).argmax(axis=1)
    ways = np.stack(np.unravel_index(peaks, sides), axis=1)
    return (ways + np.array(sides) // 2) % sides - np.array(sides) // 2


BASELINES: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = MappingProxyType(
    {"copy": copy_last_frame, "linear": extrapolate, "shift": shift_frames}
)
