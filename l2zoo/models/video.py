"""A recurrent CNN for video: from the frames so far, the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from l2zoo.models import blocks
from l2zoo.models.frames import EachFrame, Memory
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import whole_numbers

FILTERS = (16, 32)
SHARPEST = 8  # channels at the size of the frame, where each costs most


@suggest_arguments
def build_video(
    input_shape: Sequence[int | None],
    *,
    filters: Sequence[int] = FILTERS,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str = "video",
) -> keras.Model:
    """Builds a model that says at each time of a clip what the next frame will be.

    Every level of the encoder halves the frame, by a convolution, and remembers, by a ConvLSTM; the decoder
    doubles it again and sees beside each level what the next finer one remembers, and at last the frame
    itself. So what does not move is copied, and what moves is known at every scale. Nothing looks ahead: the
    answer at a time depends on the frames up to it.

    Args:
        input_shape: `(T, H, W, C)`, or `(None, H, W, C)` for clips of any length; pixels in [0, 255] go in.
            `H` and `W` must be divisible by the coarsest stride, `2 ** len(filters)`.
        filters: Channels at stride 2, 4, 8, ...
        weights: Trained weights to begin with: the name of a saved model of this architecture, such as
            `"moving_digits"`, or an artifact's folder. `None` for random ones.
        l2: The penalty: a lambda, a `Strength`, an `L2Policy` or none.
        name: Of the model.

    Returns:
        A model, not compiled, from clips `(B, T, H, W, C)` to clips `(B, T, H, W, C)`, float32 in [0, 255]:
        at time t, frame t + 1.

    Raises:
        FileNotFoundError: There are no such `weights`.
        TypeError: An argument is of the wrong type.
        ValueError: Sides that cannot be divided, bad counts.

    References:
        Shi et al. 2015, Convolutional LSTM Network. There frames are cut into patches in the place of the
        encoder, the ConvLSTMs are all of one size and their gates see the memory too (peepholes), and a
        second network, to which the memory is handed, forecasts all frames. Here one network forecasts one
        frame, and is fed what it forecast to go on (Graves 2013, Generating Sequences).

    Example:
        >>> build_video((None, 32, 32, 1), l2=1e-4).output_shape
        (None, None, 32, 32, 1)
    """
    widths = whole_numbers("filters", filters, at_least=1)
    clips = keras.Input(_clip_shape(input_shape, 2 ** len(widths)), name="clips")
    layers = {layer.name: layer for layer in _layers(widths, clips.shape[-1])}

    def at(name: str, x: Any) -> Any:
        layer = layers[name]
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.UpSampling2D)):
            layer.build(
                (None, *x.shape[2:])
            )  # here, so that its weights have the paths that loading gives them
            layer = EachFrame(layer, name=f"{name}_each", dtype=layer.dtype_policy)
        return layer(x)

    outputs = _connect(clips, len(widths), at)
    model = load_weights(keras.Model(clips, outputs, name=name), weights, architecture="video")
    return L2Policy.of(l2).apply(model)


def _layers(widths: Sequence[int], channels: int) -> list[keras.layers.Layer]:
    """Every layer, made for frames but for those that remember."""
    made: list[keras.layers.Layer] = [keras.layers.Rescaling(1.0 / blocks.MAX_PIXEL, name="rescale")]
    for number, width in enumerate(widths, start=1):
        finer = widths[number - 2] if number > 1 else SHARPEST
        made += [
            _conv(width, stride=2, name=f"encoder{number}"),
            Memory(width, 3, padding="same", return_sequences=True, name=f"recurrent{number}"),
            keras.layers.UpSampling2D(2, name=f"decoder{number}_resize"),
            keras.layers.Concatenate(name=f"decoder{number}_skip"),
            _conv(finer, name=f"decoder{number}"),
        ]
    last = keras.layers.Conv2D(channels, 1, activation="sigmoid", dtype="float32", name="next")
    return [*made, last, keras.layers.Rescaling(blocks.MAX_PIXEL, dtype="float32", name="pixels")]


def _conv(filters: int, *, stride: int = 1, name: str) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        filters,
        3,
        strides=stride,
        padding="same",
        activation="relu",
        kernel_initializer=blocks.KERNEL_INITIALIZER,
        name=name,
    )


def _connect(x: Any, depth: int, at: Callable[[str, Any], Any]) -> Any:
    """The way from pixels to the next pixels; `at` applies the layer of a name, to clips or to frames."""
    x = at("rescale", x)
    finer = []
    for number in range(1, depth + 1):
        finer.append(x)
        x = at(f"recurrent{number}", at(f"encoder{number}", x))
    for number in range(depth, 0, -1):
        x = at(f"decoder{number}_resize", x)
        x = at(f"decoder{number}_skip", [finer.pop(), x])
        x = at(f"decoder{number}", x)
    return at("pixels", at("next", x))


def _clip_shape(input_shape: Sequence[int | None], stride: int) -> tuple[int | None, ...]:
    form = "`input_shape` must be (frames or None, height, width, channels), without the batch"
    if isinstance(input_shape, (str, bytes)) or not isinstance(input_shape, Sequence):
        raise TypeError(f"{form}, got input_shape={input_shape!r}.")
    if len(input_shape) != 4:
        raise ValueError(f"{form}, got input_shape={tuple(input_shape)}.")
    frames, *sides = input_shape
    height, width, channels = whole_numbers("input_shape[1:]", sides, at_least=1)
    if frames is not None:
        frames = whole_numbers("input_shape", [frames], at_least=1)[0]
    if height % stride or width % stride:
        raise ValueError(
            f"`input_shape` must have sides that {stride} divides, 2 for each entry of `filters`, got "
            f"input_shape={tuple(input_shape)}. Pad or resize the frames, or use fewer `filters`."
        )
    return frames, height, width, channels
