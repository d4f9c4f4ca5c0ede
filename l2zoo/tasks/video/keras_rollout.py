"""Going on with clips by a Keras model: the loop of `rollout` around its compiled step."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from l2zoo.tasks.video import rollout
from l2zoo.tasks.video.stepping import is_step
from l2zoo.utils.validation import whole_number


class Stepper:
    """One time step of a video model as a function of arrays, compiled once, whatever the batch size.

    Args:
        step: What `step_model` makes.
        batch_size: Clips that are continued together, at least 1.

    Raises:
        TypeError: The model has other inputs, or `batch_size` is not a whole number.
        ValueError: `batch_size` is below 1.
    """

    def __init__(self, step: keras.Model, *, batch_size: int = 64):
        inputs = step.input if isinstance(step, keras.Model) else None
        if not isinstance(inputs, dict) or not is_step(step):
            raise TypeError(
                "`step` must be a model of one time step, as step_model makes one of what build_video makes, "
                f"got {type(step).__name__} with inputs {inputs!r}."
            )
        self._step = _compiled(step)
        self._batch_size = whole_number("batch_size", batch_size, at_least=1)
        self.frame_shape = tuple(inputs["frame"].shape[1:])
        self._states = {name: tuple(x.shape[1:]) for name, x in inputs.items() if name != "frame"}

    def rollout(
        self, frames: np.ndarray, length: int, *, watch: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Continues clips by `l2zoo.tasks.video.rollout.rollout`."""
        frames = rollout.checked(frames, frame_shape=self.frame_shape)
        return rollout.rollout(
            self._step, frames, length, states=self._states, batch_size=self._batch_size, watch=watch
        )

    def next_frames(self, frames: np.ndarray) -> np.ndarray:
        """Predicts every next frame by `l2zoo.tasks.video.rollout.next_frames`."""
        parts = self._parts(frames)
        return np.concatenate([rollout.next_frames(self._step, part, states=self._states) for part in parts])

    def inputs(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Frame and states from which the frame after clips `(N, T, H, W, C)` is predicted."""
        parts = [rollout.inputs(self._step, part, states=self._states) for part in self._parts(frames)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _parts(self, frames: np.ndarray) -> list[np.ndarray]:
        frames = rollout.checked(frames, frame_shape=self.frame_shape)
        return [frames[i : i + self._batch_size] for i in range(0, len(frames), self._batch_size)]


def _compiled(step: keras.Model) -> rollout.Step:
    if keras.backend.backend() != "tensorflow":
        return step.predict_on_batch
    import tensorflow as tf

    specs = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in step.input.items()}
    graph = tf.function(lambda batch: step(batch, training=False), input_signature=[specs], autograph=False)
    return lambda batch: graph({name: tf.constant(part) for name, part in batch.items()})
