"""A denoiser: what noise has done to an image at some time, from which sampling draws new images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from l2zoo.models import blocks
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import whole_number, whole_numbers

FILTERS = (16, 32, 64)
GROUP = 8  # channels that are normalised together
BELLS = 32  # features of a time


@suggest_arguments
def build_diffusion(
    input_shape: Sequence[int],
    *,
    num_classes: int | None = None,
    filters: Sequence[int] = FILTERS,
    attention: int = 4,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str = "diffusion",
) -> keras.Model:
    """Builds a denoiser: a U-Net of residual blocks that know how noisy their image is.

    Its inputs are a dict:

    - `"images"` `(B, H, W, C)`: noisy images in pixels. Clean ones are in [0, 255]; noise may leave it.
    - `"times"` `(B,)` in [0, 1]: from no noise to nothing but noise.
    - `"labels"` `(B,)`, int32 in [0, K]: the class; K stands for "any". Not there without `num_classes`.

    Args:
        input_shape: `(H, W, C)`. `H` and `W` must be divisible by the coarsest stride,
            `2 ** (len(filters) - 1)`.
        num_classes: Number of classes `K`, at least 1; `None` for a model that knows no classes.
        filters: Channels at stride 1, 2, 4, ..., multiples of 8. The default is for digits and the like;
            photographs deserve twice as many.
        attention: Heads of the self-attention at the coarsest stride, which must divide the last of
            `filters`; 0 for none.
        weights: Trained weights to begin with: the name of a saved model of this architecture, such as
            `"digits"`, or an artifact's folder. `None` for random ones.
        l2: The penalty: a lambda, a `Strength`, an `L2Policy` or none.
        name: Of the model.

    Returns:
        A model, not compiled, from these inputs to the velocity `v = alpha * noise - sigma * image`
        `(B, H, W, C)` in float32, where `image` is scaled to [-1, 1] (see `l2zoo.tasks.diffusion.schedule`).

    Raises:
        FileNotFoundError: There are no such `weights`.
        TypeError: An argument is of the wrong type.
        ValueError: Sides that cannot be divided, bad counts.

    References:
        Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models; here there is one block a level and
        way, with group norm (Wu and He 2018) over 8 channels each, and a time is described by bells in the
        place of sines, for which layers of Keras's own are enough.
        Salimans and Ho 2022, Progressive Distillation for Fast Sampling of Diffusion Models (`v`).
        Ho and Salimans 2022, Classifier-Free Diffusion Guidance (the class that stands for "any").

    Example:
        >>> model = build_diffusion((16, 16, 1), num_classes=10, filters=(8, 16), l2=1e-4)
        >>> sorted(model.input), model.output_shape
        (['images', 'labels', 'times'], (None, 16, 16, 1))
    """
    widths = _widths(filters)
    heads = whole_number("attention", attention, at_least=0)
    if heads and widths[-1] % heads:
        raise ValueError(
            f"`attention` must be a number of heads that divides the last of `filters`, {widths[-1]}, or 0 "
            f"for none, got attention={heads}."
        )
    inputs = {"images": _images(input_shape, widths), "times": keras.Input((), name="times")}
    if num_classes is not None:
        inputs["labels"] = keras.Input((), dtype="int32", name="labels")
    known = _condition(inputs, num_classes, 4 * widths[0])
    x = keras.layers.Rescaling(2.0 / blocks.MAX_PIXEL, offset=-1.0, name="normalise")(inputs["images"])
    x = _conv(x, widths[0], name="stem")
    skips = []
    for number, width in enumerate(widths, start=1):
        if number > 1:
            x = keras.layers.AveragePooling2D(2, name=f"down{number}_pool")(x)
        x = _residual(x, known, width, name=f"down{number}")
        skips.append(x)
    if heads:
        x = _attend(x, heads, name="attention")
    x = _residual(x, known, widths[-1], name="middle")
    for number in range(len(widths) - 1, 0, -1):
        width = widths[number - 1]
        x = _conv(
            x, width, kernel_size=1, name=f"up{number}_narrow"
        )  # before the resize: a quarter of the cost
        x = keras.layers.UpSampling2D(2, name=f"up{number}_resize")(x)
        x = keras.layers.Concatenate(name=f"up{number}_skip")([skips[number - 1], x])
        x = _residual(x, known, width, name=f"up{number}")
    x = _norm_and_silu(x, name="out")
    # The velocity starts at zero, its mean, and is float32 whatever the precision of the layers below.
    outputs = _conv(x, inputs["images"].shape[-1], zero=True, dtype="float32", name="velocity")
    model = load_weights(keras.Model(inputs, outputs, name=name), weights, architecture="diffusion")
    return L2Policy.of(l2).apply(model)


def _widths(filters: Sequence[int]) -> tuple[int, ...]:
    widths = whole_numbers("filters", filters, at_least=1)
    if any(width % GROUP for width in widths):
        raise ValueError(
            f"`filters` must be multiples of {GROUP}, the channels that are normalised together, got "
            f"filters={widths}."
        )
    return widths


def _images(input_shape: Sequence[int], widths: Sequence[int]) -> keras.KerasTensor:
    """The input for images, if the levels fit into them."""
    deepest = 2 ** (len(widths) - 1)
    shape = blocks.pixels(input_shape, smallest=deepest)[0].shape[1:]  # its checks; not its range of [0, 255]
    blocks.check_sides(shape, deepest)
    return keras.Input(shape, name="images")


def _condition(inputs: dict[str, Any], num_classes: int | None, width: int) -> keras.KerasTensor:
    """What every block is told, `(B, width)`: the time, and the class if there is one.

    A time is described by how near it is to each of some evenly spaced ones: `exp(-(distance / spacing) ** 2
    / 2)`.
    """
    x = keras.layers.Reshape((1,), name="time_column")(inputs["times"])
    centres = [-float(i) for i in range(BELLS)]
    x = keras.layers.RepeatVector(BELLS, name="time_repeat")(x)
    x = keras.layers.Reshape((BELLS,), name="time_row")(x)
    x = keras.layers.Rescaling(BELLS - 1.0, offset=centres, name="time_distance")(x)
    x = keras.layers.Multiply(name="time_square")([x, x])
    x = keras.layers.Rescaling(-0.5, name="time_minus")(x)
    x = keras.layers.Activation("exponential", name="time_bells")(x)
    x = keras.layers.Dense(width, activation="silu", name="time_dense1")(x)
    x = keras.layers.Dense(width, name="time_dense2")(x)
    if num_classes is not None:
        classes = whole_number("num_classes", num_classes, at_least=1)
        label = keras.layers.Embedding(classes + 1, width, name="label")(inputs["labels"])
        x = keras.layers.Add(name="known")([x, label])
    return keras.layers.Activation("silu", name="known_silu")(x)


# Blocks of its own, unlike the U-Net's, which are those of `blocks`: those normalise over the batch, here of
# images at different times, and behind the convolution; and nothing tells them the time.


def _residual(
    x: keras.KerasTensor, known: keras.KerasTensor, filters: int, *, name: str
) -> keras.KerasTensor:
    """`shortcut(x) + conv(silu(norm(dense(known) + conv(silu(norm(x))))))`; at the start, `shortcut(x)`."""
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = _conv(x, filters, kernel_size=1, name=f"{name}_shortcut")
    x = _conv(_norm_and_silu(x, name=f"{name}_norm1"), filters, name=f"{name}_conv1")
    told = keras.layers.Dense(filters, name=f"{name}_known")(known)
    told = keras.layers.Reshape((1, 1, filters), name=f"{name}_known_map")(told)
    x = keras.layers.Add(name=f"{name}_told")([x, told])
    x = _conv(_norm_and_silu(x, name=f"{name}_norm2"), filters, zero=True, name=f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([shortcut, x])


def _attend(x: keras.KerasTensor, heads: int, *, name: str) -> keras.KerasTensor:
    """`x + attention(norm(x))`: every place looks at every other."""
    height, width, filters = x.shape[1:]
    places = _norm(x, name=f"{name}_norm")
    places = keras.layers.Reshape((height * width, filters), name=f"{name}_places")(places)
    look = keras.layers.MultiHeadAttention(heads, filters // heads, use_bias=False, name=name)
    seen = keras.layers.Reshape((height, width, filters), name=f"{name}_map")(look(places, places))
    return keras.layers.Add(name=f"{name}_add")([x, seen])


def _norm(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    return keras.layers.GroupNormalization(x.shape[-1] // GROUP, epsilon=blocks.BN_EPSILON, name=name)(x)


def _norm_and_silu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    x = _norm(x, name=name)
    return keras.layers.Activation("silu", name=f"{name}_silu")(x)


def _conv(
    x: keras.KerasTensor,
    filters: int,
    *,
    kernel_size: int = 3,
    zero: bool = False,
    dtype: str | None = None,
    name: str,
) -> keras.KerasTensor:
    """A convolution as wide as its input, with a bias; `zero` ones give 0 until they have learnt."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        kernel_initializer="zeros" if zero else blocks.KERNEL_INITIALIZER,
        dtype=dtype,
        name=name,
    )(x)
