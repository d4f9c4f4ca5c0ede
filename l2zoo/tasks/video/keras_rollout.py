"""Going on with clips by a Keras model: one time step of it, and the loop of `rollout` around that step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from l2zoo.tasks.video import rollout
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import whole_number


@suggest_arguments
def step_model(model: keras.Model) -> keras.Model:
    """One time step of a model of clips, for going on from frame to frame; this is what is exported.

    Args:
        model: What `build_video` makes, or what was loaded of it: ConvLSTMs, layers for frames in a
            `TimeDistributed`, and layers without weights.

    Returns:
        A model of the same weights, not copies, from a dict of `"frame"` `(B, H, W, C)`, pixels in [0, 255],
        and `"state0"`, `"state1"`, ... `(B, h, w, c)`, which are zeros at the start, to a dict of `"next"`
        `(B, H, W, C)` and the states for the next step.

    Raises:
        TypeError: The model is another.
    """
    layers = getattr(model, "layers", ())
    if not any(isinstance(layer, keras.layers.ConvLSTM2D) for layer in layers):
        raise TypeError(f"`model` must be one that build_video makes, got {type(model).__name__}.")
    inputs = {"frame": keras.Input(model.input.shape[2:], name="frame")}
    after: dict[str, keras.KerasTensor] = {}
    known = {model.input.name: inputs["frame"]}  # what comes out of each layer
    for entry in model.get_config()["layers"]:  # from the input to the output
        if entry["name"] in known:
            continue
        x = _layer_inputs(entry, known)
        layer = model.get_layer(entry["name"])
        if isinstance(layer, keras.layers.ConvLSTM2D):
            shape = (*x.shape[1:-1], layer.cell.filters)
            before = [keras.Input(shape, name=f"state{len(after) + i}") for i in range(2)]
            x, *states = OneFrame(layer, name=f"{layer.name}_once")([x, *before])
            inputs.update({state.name: state for state in before})
            after.update(zip((state.name for state in before), states, strict=True))
        elif isinstance(layer, keras.layers.TimeDistributed):
            x = layer.layer(x)
        else:  # has no weights, and was built for clips
            x = layer.__class__.from_config(layer.get_config())(x)
        known[entry["name"]] = x
    return keras.Model(inputs, {"next": known[model.output_names[0]], **after}, name=f"{model.name}_step")


def is_step_model(model: Any) -> bool:
    """Whether a model is one time step, as `step_model` makes it."""
    inputs = getattr(model, "input", None)
    return isinstance(inputs, dict) and {"frame", "state0"} <= set(inputs)


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
        if not isinstance(inputs, dict) or not is_step_model(step):
            raise TypeError(
                "`step` must be a model of one time step, as step_model makes one of what build_video makes, "
                f"got {type(step).__name__} with inputs {inputs!r}."
            )
        self._step = _compile(step)
        self._batch_size = whole_number("batch_size", batch_size, at_least=1)
        self.frame_shape = tuple(inputs["frame"].shape[1:])
        self._states = {name: tuple(x.shape[1:]) for name, x in inputs.items() if name != "frame"}

    def rollout(
        self, frames: np.ndarray, length: int, *, watch: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Continues clips by `l2zoo.tasks.video.rollout.rollout`."""
        frames = rollout.check_frames(frames, frame_shape=self.frame_shape)
        return rollout.rollout(
            self._step, frames, length, states=self._states, batch_size=self._batch_size, watch=watch
        )

    def next_frames(self, frames: np.ndarray) -> np.ndarray:
        """Predicts every next frame by `l2zoo.tasks.video.rollout.next_frames`."""
        parts = self._parts(frames)
        return np.concatenate([rollout.next_frames(self._step, part, states=self._states) for part in parts])

    def inputs(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Frame and states from which the frame after clips `(N, T, H, W, C)` is predicted."""
        parts = [rollout.step_inputs(self._step, part, states=self._states) for part in self._parts(frames)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _parts(self, frames: np.ndarray) -> list[np.ndarray]:
        frames = rollout.check_frames(frames, frame_shape=self.frame_shape)
        return [frames[i : i + self._batch_size] for i in range(0, len(frames), self._batch_size)]


@keras.saving.register_keras_serializable("l2zoo")
class OneFrame(keras.layers.Wrapper):
    """One time step of a ConvLSTM: from features `(B, h, w, C)` and two states to features and two states."""

    def build(self, input_shape: Any) -> None:
        (batch, *features), *_ = input_shape
        super().build((batch, None, *features))

    def call(self, inputs: Any) -> list[Any]:
        features, *states = inputs
        features, states = self.layer.cell(features, states)
        return [features, *states]

    def compute_output_shape(self, input_shape: Any) -> list[Any]:
        _, output, memory = input_shape
        return [output, output, memory]


def _layer_inputs(entry: dict[str, Any], known: dict[str, Any]) -> Any:
    """What goes into a layer, by the names of the layers that it comes from."""

    def outputs_of(part: Any) -> Any:
        if isinstance(part, dict):
            return known[part["config"]["keras_history"][0]]
        return [outputs_of(one) for one in part]

    return outputs_of(entry["inbound_nodes"][0]["args"][0])


def _compile(step: keras.Model) -> rollout.Step:
    if keras.backend.backend() != "tensorflow":
        return step.predict_on_batch
    import tensorflow as tf

    specs = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in step.input.items()}
    graph = tf.function(lambda batch: step(batch, training=False), input_signature=[specs], autograph=False)
    return lambda batch: graph({name: tf.constant(part) for name, part in batch.items()})
