"""U-Net: a class for every pixel, from features at every size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from l2zoo.models import backbones, blocks
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import one_of, whole_number, whole_numbers

FILTERS = (24, 48, 96, 192)


@suggest_arguments
def build_unet(
    input_shape: Sequence[int],
    *,
    num_classes: int,
    filters: Sequence[int] = FILTERS,
    backbone: keras.Model | None = None,
    upsampling: str = "resize",
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str = "unet",
) -> keras.Model:
    """Builds a U-Net, which says for every pixel of an image which class it belongs to.

    Args:
        input_shape: `(H, W, C)`; pixels in [0, 255] go in. `H` and `W` must be divisible by the deepest
            stride, `2 ** (len(filters) - 1)`.
        num_classes: Number of classes `K`, background included, at least 2.
        filters: Channels of the decoder at stride 1, 2, 4, ...; of the encoder as well, if there is no
            backbone.
        backbone: A model from the same images whose features take the encoder's place, from stride 2 on:
            one of this zoo, of `backbones.application(...)`, or of one's own. It gets raw pixels in [0, 255]:
            what its weights want else must be inside, as `backbones.application` has it. It must have
            features at the deepest stride; where it has none at another, as ConvNeXt at 2, the decoder goes
            on without. Two `filters` at least.
        upsampling: `"resize"`, a 1x1 convolution and nearest neighbours, which the convolutions behind them
            smooth, or `"transpose"`, a transposed 2x2 convolution as in the paper.
        weights: Trained weights to begin with: the name of a saved model of this architecture, such as
            `"scenes"`, or an artifact's folder. `None` for random ones.
        l2: The penalty: a lambda, a `Strength`, an `L2Policy` or none. It reaches the backbone too.
        name: Of the model.

    Returns:
        A model from images `(B, H, W, C)` to probabilities `(B, H, W, K)` in float32, whose rows sum to 1.

    Raises:
        FileNotFoundError: There are no such `weights`.
        ValueError: Sides that cannot be divided, a backbone without the levels, bad counts.

    References:
        Ronneberger, Fischer, Brox 2015, U-Net; here convolutions are padded, so that the answer is as large
        as the image, and normalised (Ioffe and Szegedy 2015). Odena, Dumoulin, Olah 2016, Deconvolution and
        Checkerboard Artifacts (why resizing is the default).

    Example:
        >>> build_unet((32, 32, 3), num_classes=11, l2=1e-4).output_shape
        (None, 32, 32, 11)
    """
    widths = whole_numbers("filters", filters, at_least=1)
    if backbone is not None and len(widths) < 2:
        raise ValueError(
            f"`filters` must be two at least with a `backbone`, whose features begin at stride 2, got "
            f"filters={widths}."
        )
    one_of("upsampling", upsampling, ("resize", "transpose"))
    classes = whole_number("num_classes", num_classes, at_least=2)
    deepest = 2 ** (len(widths) - 1)
    inputs, x = blocks.pixels(input_shape, smallest=deepest)
    blocks.check_sides(input_shape, deepest)
    levels: list[Any] = _encode(x, widths) if backbone is None else _borrow(backbone, inputs, x, widths)
    x = levels.pop()
    for number in range(len(levels), 0, -1):
        skip, width, layer = levels[number - 1], widths[number - 1], f"decoder{number}"
        x = _upsample(x, width, how=upsampling, name=f"{layer}_up")
        if skip is not None:
            x = keras.layers.Concatenate(name=f"{layer}_skip")([skip, x])
        x = _double_conv(x, width, name=layer)
    x = keras.layers.Conv2D(classes, 1, name="logits")(x)
    outputs = keras.layers.Softmax(dtype="float32", name="probabilities")(x)
    model = load_weights(keras.Model(inputs, outputs, name=name), weights, architecture="unet")
    return L2Policy.of(l2).apply(model)


def _encode(x: keras.KerasTensor, widths: Sequence[int]) -> list[keras.KerasTensor]:
    """Features at stride 1, 2, 4, ..., each of two convolutions."""
    levels = []
    for number, width in enumerate(widths, start=1):
        if number > 1:
            x = keras.layers.MaxPooling2D(2, name=f"encoder{number}_pool")(x)
        x = _double_conv(x, width, name=f"encoder{number}")
        levels.append(x)
    return levels


def _borrow(
    backbone: keras.Model, inputs: keras.KerasTensor, x: keras.KerasTensor, widths: Sequence[int]
) -> list[keras.KerasTensor | None]:
    """Features of a backbone, `None` for strides where it has none.

    Those at stride 1 are of two convolutions of our own, whatever the backbone has: most have none there.
    """
    strides = [2**number for number in range(1, len(widths))]
    there = backbones.strides_of(backbone)
    wanted = [stride for stride in strides if stride in there or stride == strides[-1]]
    levels = dict(zip(wanted, backbones.apply_backbone(backbone, inputs, wanted), strict=True))
    return [_double_conv(x, widths[0], name="encoder1"), *(levels.get(stride) for stride in strides)]


def _double_conv(x: keras.KerasTensor, filters: int, *, name: str) -> keras.KerasTensor:
    x = blocks.conv(x, filters, name=f"{name}_conv1")
    return blocks.conv(x, filters, name=f"{name}_conv2")


def _upsample(x: keras.KerasTensor, filters: int, *, how: str, name: str) -> keras.KerasTensor:
    """Twice the height and width."""
    if how == "transpose":
        initializer = blocks.KERNEL_INITIALIZER
        layer = keras.layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer=initializer, name=name)
        return layer(x)
    # Channels first: a 3x3 convolution after the resize would cost 36 times as much, and two follow anyway.
    x = blocks.conv(x, filters, kernel_size=1, name=name)
    return keras.layers.UpSampling2D(2, name=f"{name}_resize")(x)
