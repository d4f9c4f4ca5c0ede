"""EfficientNet-Lite: EfficientNets for phones, without squeeze and with ReLU6, so that all of it fits int8.

One network, found by search, whose width and depth grow together; stem and head stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras

from l2zoo.models import blocks
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils import validation
from l2zoo.utils.arguments import suggest_arguments

SMALLEST = 32  # pixels: the last features stand for so many
STEM, HEAD = 32, 1280  # channels, whatever the width
CLASSES = 1000  # of ImageNet
MEAN, DEVIATION = 127.0, 128.0  # of a pixel, as the published weights want it
BN_MOMENTUM, BN_EPSILON = 0.99, 1e-3  # the published ones: the weights need this epsilon
MOST = 6.0  # of ReLU6: ranges that are known before anything is quantised


class Stage(NamedTuple):
    """Blocks of one kind. The first has the stride, and the channels of the stage before it."""

    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


class Variant(NamedTuple):
    """Factors of width and depth, and the dropout before the last layer."""

    width: float
    depth: float
    dropout: float


# Tan and Le 2019, table 1, of which the stem and the head are the first and the last row.
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
VARIANTS = {
    0: Variant(1.0, 1.0, 0.2),
    1: Variant(1.0, 1.1, 0.2),
    2: Variant(1.1, 1.2, 0.3),
    3: Variant(1.2, 1.4, 0.3),
    4: Variant(1.4, 1.8, 0.3),
}


@suggest_arguments
def build_efficientnet_lite(
    input_shape: Sequence[int] = (224, 224, 3),
    *,
    num_classes: int = CLASSES,
    variant: int = 0,
    dropout: float | None = None,
    stochastic_depth: float = 0.2,
    include_top: bool = True,
    pooling: str | None = None,
    input_tensor: keras.KerasTensor | None = None,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds an EfficientNet-Lite, which classifies images, or gives features for what is put on it.

    Args:
        input_shape: `(H, W, C)`, at least 32x32; pixels in [0, 255] go in. The variants were published for
            colour images of side 224, 240, 260, 280 and 300.
        num_classes: At least 2; with `include_top` only.
        variant: 0 to 4, the larger the wider and deeper: 4.7, 5.4, 6.1, 8.2 and 13.0 million parameters.
        dropout: Share of the pooled features put to zero while training, in [0, 1); the published one of the
            variant if None, 0.2 or 0.3. With `include_top` only.
        stochastic_depth: Up to which probability a block is left out for an image while training, in [0, 1):
            it grows evenly, from 0 of the first block.
        include_top: Whether the model ends in probabilities. Without, it ends in features, for a head of
            one's own, a U-Net or a detector.
        pooling: Of the features without top: `"avg"`, `"max"`, or None for a map of them.
        input_tensor: Raw pixels `(B, H, W, C)` of `input_shape` that another layer gives, in the place of an
            input of the model's own.
        weights: Trained weights to begin with: `"imagenet"`, which come with the package for variant 0 and
            colour images of any size, the name of another saved model of this architecture, or an artifact's
            folder. Without top, those of the head are left out. `None` for random ones.
        l2: The penalty: a lambda, a `Strength`, an `L2Policy` or none.
        name: Of the model; `efficientnet_lite0` by default.

    Returns:
        A model from images `(B, H, W, C)` to probabilities `(B, num_classes)` in float32; without top, to
        features `(B, H / 32, W / 32, 1280)`, rounded up, or pooled `(B, 1280)`.

    Raises:
        TypeError: An argument is of the wrong type.
        FileNotFoundError: There are no such `weights`.
        ValueError: A variant that does not exist, an image that is too small, bad counts and shares, an
            option of the head or of the pooling for a model without, weights of other classes or channels.

    References:
        Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks; Liu 2020,
        Higher accuracy on vision models with EfficientNet-Lite (what the Lite variants leave out). Sandler et
        al. 2018, MobileNetV2 (the blocks). Huang et al. 2016, Deep Networks with Stochastic Depth.

    Example:
        >>> build_efficientnet_lite((32, 32, 3), num_classes=10, l2=2e-5).name
        'efficientnet_lite0'
    """
    if validation.whole_number("variant", variant, at_least=0) not in VARIANTS:
        raise ValueError(f"`variant` must be one of {list(VARIANTS)}, got variant={variant!r}.")
    plan = VARIANTS[variant]
    _check_ends(include_top, num_classes, dropout, pooling)
    inputs, x = _pixels(input_shape, input_tensor)
    x = _conv(x, STEM, kernel_size=3, stride=2, name="stem_conv")
    x = _stages(x, plan, blocks.share("stochastic_depth", stochastic_depth))
    x = _conv(x, HEAD, kernel_size=1, name="head_conv")
    if include_top:
        x = blocks.classify(x, num_classes, dropout=plan.dropout if dropout is None else dropout)
    elif pooling is not None:
        layers = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
        x = layers[pooling](name="pool")(x)
    architecture = f"efficientnet_lite{variant}"
    model = keras.Model(inputs, x, name=name or architecture)
    return L2Policy.of(l2).apply(load_weights(model, weights, architecture=architecture, head="logits"))


def _check_ends(include_top: bool, num_classes: int, dropout: float | None, pooling: str | None) -> None:
    """Refuses what would have no effect at the end that the model has."""
    if not isinstance(include_top, bool):
        raise TypeError(f"`include_top` must be True or False, got include_top={include_top!r}.")
    if pooling is not None:
        validation.one_of("pooling", pooling, ("avg", "max"))
        if include_top:
            raise ValueError(
                f"`pooling` is for features, got pooling={pooling!r} with include_top=True, which pools by "
                "the average. Leave it out, or take include_top=False."
            )
    if not include_top and (num_classes != CLASSES or dropout is not None):
        given = f"num_classes={num_classes}" if num_classes != CLASSES else f"dropout={dropout}"
        raise ValueError(
            f"`num_classes` and `dropout` are for include_top=True, got {given} with include_top=False. "
            "Leave it out, and put a head of your own on the features."
        )


def _pixels(
    input_shape: Sequence[int], given: keras.KerasTensor | None
) -> tuple[keras.KerasTensor | list[keras.KerasTensor], keras.KerasTensor]:
    """What the model begins with, and pixels as the published weights want them, in about [-1, 1]."""
    inputs = x = blocks.image_input(input_shape, smallest=SMALLEST)
    if given is not None:
        if tuple(given.shape[1:]) != tuple(x.shape[1:]):
            raise ValueError(
                f"`input_tensor` must be of input_shape={tuple(input_shape)}, got shape "
                f"{tuple(given.shape[1:])}."
            )
        inputs, x = keras.utils.get_source_inputs(given), given
    # One after the other: eight bits lose half a step where one layer scales and shifts.
    x = keras.layers.Rescaling(1.0, offset=-MEAN, name="center")(x)
    return inputs, keras.layers.Rescaling(1 / DEVIATION, name="normalize")(x)


def _stages(x: keras.KerasTensor, plan: Variant, drop: float) -> keras.KerasTensor:
    """All blocks, each left out the more often the later it comes."""
    repeats = [
        # The first and the last stage are as fixed as the stem and the head beside them.
        stage.repeats if stage in (STAGES[0], STAGES[-1]) else math.ceil(plan.depth * stage.repeats)
        for stage in STAGES
    ]
    before, every = 0, sum(repeats)
    for number, (stage, times) in enumerate(zip(STAGES, repeats, strict=True), start=1):
        filters = _round_filters(plan.width * stage.filters)
        for block in range(1, times + 1):
            stride = stage.stride if block == 1 else 1
            layer = f"stage{number}_block{block}"
            x = _block(x, stage, filters, stride=stride, drop=drop * before / every, name=layer)
            before += 1
    return x


def _round_filters(filters: float) -> int:
    """The nearest multiple of 8, or the next where that is less than nine tenths.

    Example:
        >>> _round_filters(16 * 1.1), _round_filters(24 * 1.1), _round_filters(10.0)
        (16, 24, 16)
    """
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8


def _block(
    x: keras.KerasTensor, stage: Stage, filters: int, *, stride: int, drop: float, name: str
) -> keras.KerasTensor:
    """A 1x1 convolution to more channels, a depthwise one, a 1x1 to fewer; plus `x` where shapes agree."""
    before = x
    if stage.expansion > 1:
        x = _conv(x, stage.expansion * x.shape[-1], kernel_size=1, name=f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise",
    )(x)
    x = _relu6(_norm(x, name=f"{name}_depthwise"), name=f"{name}_depthwise")
    x = _norm(_bare_conv(x, filters, kernel_size=1, name=f"{name}_project"), name=f"{name}_project")
    if stride > 1 or before.shape[-1] != filters:
        return x
    if drop > 0:  # of whole images: what stays of a batch counts the more
        x = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    return keras.layers.Add(name=f"{name}_add")([before, x])


def _conv(
    x: keras.KerasTensor, filters: int, *, kernel_size: int, stride: int = 1, name: str
) -> keras.KerasTensor:
    """`relu6(bn(conv(x)))`."""
    x = _bare_conv(x, filters, kernel_size=kernel_size, stride=stride, name=name)
    return _relu6(_norm(x, name=name), name=name)


def _bare_conv(
    x: keras.KerasTensor, filters: int, *, kernel_size: int, stride: int = 1, name: str
) -> keras.KerasTensor:
    """A convolution without bias, padded as TensorFlow does it: the odd pixel to the right and below."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(x)


def _initializer() -> keras.initializers.Initializer:
    """The published one; that of the other models would make depthwise kernels far too small."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def _norm(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"{name}_bn")(x)


def _relu6(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(MOST, name=f"{name}_relu")(x)
