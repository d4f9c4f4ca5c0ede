"""Going on with clips, by NumPy alone, so that an exported file can be driven by it as well as a model.

A step takes a dict of a `"frame"` `(N, H, W, C)` and of states, `"state0"`, `"state1"`, ..., and gives a dict
of the `"next"` frame and of the states for the next step. At the start, states are zeros.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from l2zoo.utils.validation import whole_number

Step = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Frame and states to the next frame and the next states."""

Shapes = Mapping[str, Sequence[int]]
"""The shape of each state, without the batch."""

FEWEST = 2  # frames: one shows no motion


def rollout(
    step: Step,
    frames: np.ndarray,
    length: int,
    *,
    states: Shapes,
    batch_size: int | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Continues clips: each frame that the step gives is the next that it sees.

    Args:
        step: From frame and states to the next ones.
        frames: `(N, T, H, W, C)`, the clips so far, pixels in [0, 255], at least 2 frames.
        length: How many frames follow, at least 1.
        states: The shape of each state, without the batch.
        batch_size: Clips that are continued together, at least 1; all if None.
        watch: Is told after every step how many were done, over all batches, and how many there are.

    Returns:
        The frames that follow, `(N, length, H, W, C)`, float32.

    Raises:
        TypeError: `length` or `batch_size` is not a whole number.
        ValueError: Too few frames, frames of a wrong rank, or a number below 1.

    Example:
        >>> def brighter(inputs):
        ...     return {"next": inputs["frame"] + inputs["state0"] + 1, "state0": inputs["state0"] + 1}
        >>> rollout(brighter, np.zeros((1, 2, 1, 1, 1)), 3, states={"state0": (1, 1, 1)}).ravel()
        array([2., 5., 9.], dtype=float32)
    """
    frames = check_frames(frames)
    length = whole_number("length", length, at_least=1)
    size = len(frames) if batch_size is None else whole_number("batch_size", batch_size, at_least=1)
    parts = [frames[start : start + size] for start in range(0, len(frames), size)]
    steps = itertools.count(1)
    total = len(parts) * (frames.shape[1] + length - 1)

    def watched(inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        after = step(inputs)
        if watch is not None:
            watch(next(steps), total)
        return after

    return np.concatenate([_continue_clips(watched, part, length, states) for part in parts])


def _continue_clips(step: Step, frames: np.ndarray, length: int, states: Shapes) -> np.ndarray:
    """What follows clips that go through the step together."""
    count, given = frames.shape[:2]
    found = np.empty((count, length, *frames.shape[2:]), np.float32)

    def seen() -> Iterator[np.ndarray]:
        yield from frames.swapaxes(0, 1)
        yield from found.swapaxes(0, 1)[:-1]  # read as late as they are asked for, when they are there

    for time, following in enumerate(_next_frames_of(step, seen(), states, count)):
        if time >= given - 1:
            found[:, time - given + 1] = following
    return found


def next_frames(step: Step, frames: np.ndarray, *, states: Shapes) -> np.ndarray:
    """What a step says at each time will follow, given the frames up to then.

    Args:
        step: From frame and states to the next ones.
        frames: `(N, T, H, W, C)`, pixels in [0, 255], at least 2 frames.
        states: The shape of each state, without the batch.

    Returns:
        `(N, T, H, W, C)`, float32: at time t, what frame t + 1 is expected to be.

    Raises:
        ValueError: Too few frames, or frames of a wrong rank.
    """
    frames = check_frames(frames)
    found = list(_next_frames_of(step, frames.swapaxes(0, 1), states, len(frames)))
    return np.stack(found, axis=1).astype(np.float32)


def step_inputs(step: Step, frames: np.ndarray, *, states: Shapes) -> dict[str, np.ndarray]:
    """What the step is given for the last of some frames, to predict the one after it.

    Args:
        step: From frame and states to the next ones.
        frames: `(N, T, H, W, C)`, pixels in [0, 255], at least 2 frames.
        states: The shape of each state, without the batch.

    Returns:
        `"frame"` `(N, H, W, C)` and the states, all float32.

    Raises:
        ValueError: Too few frames, or frames of a wrong rank.
    """
    seen: list[dict[str, np.ndarray]] = []

    def watched(given: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        seen[:] = [given]
        return step(given)

    next_frames(watched, frames, states=states)
    return seen[0]


def check_frames(frames: Any, *, frame_shape: Sequence[int] | None = None) -> np.ndarray:
    """Frames `(N, T, H, W, C)` as an array, if there are enough and they are of the shape.

    Raises:
        ValueError: They are of a wrong rank, too few, or of another shape than `frame_shape`.
    """
    try:
        frames = np.asarray(frames)
    except ValueError as error:  # NumPy's word for clips, or frames, of different shapes
        raise ValueError(
            f"`frames` must have shape (N, T, H, W, C), got clips that differ ({error}). Cut them to one "
            "length, and bring their frames to one size."
        ) from error
    if frames.ndim != 5 or not frames.size:
        raise ValueError(f"`frames` must have shape (N, T, H, W, C), got shape={frames.shape}.")
    if frame_shape is not None and frames.shape[4] != frame_shape[2]:
        raise ValueError(
            f"`frames` must have as many channels as those of the model, {frame_shape[2]}, got "
            f"{frames.shape[4]}. Make them grey or coloured, as the model takes them."
        )
    if frame_shape is not None and frames.shape[2:] != tuple(frame_shape):
        raise ValueError(
            f"`frames` must be of shape (H, W, C)={tuple(frame_shape)}, those of the model, got "
            f"{frames.shape[2:]}. Resize them."
        )
    if frames.shape[1] < FEWEST:
        raise ValueError(
            f"`frames` must be at least {FEWEST} of each clip, as one shows no motion, got {frames.shape[1]}."
        )
    return frames


def _next_frames_of(step: Step, frames: Any, states: Shapes, count: int) -> Iterator[np.ndarray]:
    """The next frame after each frame `(N, H, W, C)`."""
    now = {name: np.zeros((count, *shape), np.float32) for name, shape in states.items()}
    for frame in frames:
        after = step({"frame": np.asarray(frame, np.float32), **now})
        now = {name: np.asarray(after[name], np.float32) for name in now}  # a step may compute in half
        yield np.asarray(after["next"])
