"""A one-stage detector without anchors: each place of a pyramid says what it sees and how far it reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from l2zoo.models import backbones, blocks
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import whole_number, whole_numbers

STRIDES = (4, 8, 16)
WIDTHS = (16, 32, 64, 96)  # of the encoder at stride 2, 4, 8, 16, where there is no backbone
GROUPS = 8  # of the heads' norm: levels share the heads, but not the statistics a batch norm would keep
PRIOR = 0.01  # how likely a place sees anything before it has learnt


@suggest_arguments
def build_detector(
    input_shape: Sequence[int],
    *,
    num_classes: int,
    backbone: keras.Model | None = None,
    strides: Sequence[int] = STRIDES,
    channels: int = 64,
    depth: int = 2,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str = "detector",
) -> keras.Model:
    """Builds a detector with raw outputs, for training: one prediction for each place of each level.

    Places are in the order of the levels, and in each level row by row. A place of stride `s` in row `i` and
    column `j` looks at the pixel `(s * (j + 0.5), s * (i + 0.5))`.

    Args:
        input_shape: `(H, W, C)`; pixels in [0, 255] go in. The largest stride must divide `H` and `W`.
        num_classes: Number of classes `K` of objects, without background, at least 1.
        backbone: A model from the same images that has features at `strides`. It gets raw pixels in [0, 255]:
            what its weights want else must be inside, as `backbones.application` has it.
        strides: Those of the levels, each twice the one before it, the first at least 2.
        channels: Of the pyramid and the heads, a multiple of 8.
        depth: Convolutions of each head.
        weights: Trained weights to begin with: the name of a saved model of this architecture, such as
            `"scenes"`, or an artifact's folder. `None` for random ones.
        l2: The penalty: a lambda, a `Strength`, an `L2Policy` or none. It reaches the backbone too.
        name: Of the model.

    Returns:
        A model from images `(B, H, W, C)` to a dictionary, all in float32:

        - `"class_logits"` `(B, N, K)`: their sigmoid is how likely the place sees an object of the class;
        - `"sides"` `(B, N, 4)`: distance in pixels, at least 0, to the left, top, right and bottom side;
        - `"centerness_logits"` `(B, N, 1)`: their sigmoid is how central the place is in the object.

    Raises:
        FileNotFoundError: There are no such `weights`.
        ValueError: Strides that do not double or do not divide, a backbone without them, bad counts.

    References:
        Tian, Shen, Chen, He 2019, FCOS: Fully Convolutional One-Stage Object Detection; here sides are
        `stride * softplus(x)` and levels start at stride 4, for small images. Lin et al. 2017, Feature
        Pyramid Networks for Object Detection. Wu, He 2018, Group Normalization. Lin et al. 2017, Focal Loss
        for Dense Object Detection, section 4.1 (the prior).

    Example:
        >>> model = build_detector((64, 64, 3), num_classes=10)
        >>> model.output["sides"].shape  # 16 * 16 + 8 * 8 + 4 * 4 places
        (None, 336, 4)
    """
    classes = whole_number("num_classes", num_classes, at_least=1)
    steps = whole_numbers("strides", strides, at_least=2)
    if list(steps) != [steps[0] * 2**number for number in range(len(steps))]:
        raise ValueError(f"`strides` must double from one to the next, as in (4, 8, 16), got {steps}.")
    if whole_number("channels", channels, at_least=GROUPS) % GROUPS:
        raise ValueError(f"`channels` must be a multiple of {GROUPS}, got channels={channels}.")
    whole_number("depth", depth, at_least=1)
    inputs, x = blocks.pixels(input_shape, smallest=steps[-1])
    if any(side % steps[-1] for side in inputs.shape[1:3]):
        raise ValueError(
            f"`input_shape` must have sides that {steps[-1]} divides, the largest of `strides`, got "
            f"input_shape={tuple(input_shape)}. Pad or resize the images."
        )
    levels = _encode(x, steps) if backbone is None else backbones.apply_backbone(backbone, inputs, steps)
    levels = _pyramid(levels, channels)
    towers = {kind: _tower(kind, channels, depth) for kind in ("class", "box")}
    lasts = _heads(classes)
    found: dict[str, list[keras.KerasTensor]] = {output: [] for output in lasts}
    for level, stride in zip(levels, steps, strict=True):
        features = {kind: tower(level) for kind, tower in towers.items()}
        for output, last in lasts.items():
            x = last(features["class" if output == "class_logits" else "box"])
            found[output].append(_flat(x, stride=stride, output=output))
    outputs = {output: _concatenate(parts, output) for output, parts in found.items()}
    model = load_weights(keras.Model(inputs, outputs, name=name), weights, architecture="detector")
    return L2Policy.of(l2).apply(model)


def _encode(x: keras.KerasTensor, strides: Sequence[int]) -> list[keras.KerasTensor]:
    """Features at the strides, from convolutions that halve the sides."""
    levels = {}
    for number in range(1, int(math.log2(strides[-1])) + 1):
        width = WIDTHS[min(number, len(WIDTHS)) - 1]
        x = blocks.conv(x, width, pool=2, name=f"encoder{number}_conv1")
        x = levels[2**number] = blocks.conv(x, width, name=f"encoder{number}_conv2")
    return [levels[stride] for stride in strides]


def _pyramid(levels: list[keras.KerasTensor], channels: int) -> list[keras.KerasTensor]:
    """Each level with what the coarser ones have understood."""
    joined: list[keras.KerasTensor] = []
    for number in range(len(levels), 0, -1):
        x = keras.layers.Conv2D(channels, 1, name=f"pyramid{number}_lateral")(levels[number - 1])
        if joined:
            above = keras.layers.UpSampling2D(2, name=f"pyramid{number}_resize")(joined[0])
            x = keras.layers.Add(name=f"pyramid{number}_add")([x, above])
        joined.insert(0, x)
    return [
        keras.layers.Conv2D(channels, 3, padding="same", name=f"pyramid{number}")(x)
        for number, x in enumerate(joined, start=1)
    ]


def _heads(classes: int) -> dict[str, keras.layers.Layer]:
    """The last convolution of each output; all levels share them."""
    prior = keras.initializers.Constant(-math.log((1 - PRIOR) / PRIOR))
    return {
        "class_logits": keras.layers.Conv2D(
            classes, 3, padding="same", bias_initializer=prior, name="class_logits"
        ),
        "sides": keras.layers.Conv2D(4, 3, padding="same", activation="softplus", name="sides"),
        "centerness_logits": keras.layers.Conv2D(1, 3, padding="same", name="centerness_logits"),
    }


def _tower(kind: str, channels: int, depth: int) -> keras.Sequential:
    """Convolutions in front of the last one; all levels share them."""
    layers: list = [keras.Input((None, None, channels))]  # of any size: levels differ
    for number in range(1, depth + 1):
        name = f"{kind}_conv{number}"
        initializer = blocks.KERNEL_INITIALIZER
        layers += [
            keras.layers.Conv2D(
                channels, 3, padding="same", use_bias=False, kernel_initializer=initializer, name=name
            ),
            keras.layers.GroupNormalization(GROUPS, name=f"{name}_gn"),
            keras.layers.ReLU(name=f"{name}_relu"),
        ]
    return keras.Sequential(layers, name=f"{kind}_tower")


def _flat(x: keras.KerasTensor, *, stride: int, output: str) -> keras.KerasTensor:
    """The places of a level in a row; sides in pixels."""
    x = keras.layers.Reshape((-1, x.shape[-1]), name=f"{output}_stride{stride}")(x)
    if output == "sides":
        x = keras.layers.Rescaling(float(stride), name=f"sides_pixels_stride{stride}")(x)
    return x


def _concatenate(parts: list[keras.KerasTensor], output: str) -> keras.KerasTensor:
    """All places of all levels, in float32 whatever the precision below."""
    if len(parts) == 1:
        return keras.layers.Activation("linear", dtype="float32", name=f"{output}_all")(parts[0])
    return keras.layers.Concatenate(axis=1, dtype="float32", name=f"{output}_all")(parts)
