"""One time step of a video model, with its memory as inputs and outputs."""

from __future__ import annotations

from typing import Any

import keras


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
        x = _inputs(entry, known)
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


def is_step(model: Any) -> bool:
    """Whether a model is one time step, as `step_model` makes it."""
    inputs = getattr(model, "input", None)
    return isinstance(inputs, dict) and {"frame", "state0"} <= set(inputs)


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


def _inputs(entry: dict[str, Any], known: dict[str, Any]) -> Any:
    """What goes into a layer, by the names of the layers that it comes from."""

    def found(part: Any) -> Any:
        if isinstance(part, dict):
            return known[part["config"]["keras_history"][0]]
        return [found(one) for one in part]

    return found(entry["inbound_nodes"][0]["args"][0])
