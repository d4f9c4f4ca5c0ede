"""Residual networks: the small ones for 32x32 images and the large ones for ImageNet, in versions 1 and 2.

The two families differ in stem and stages alone. Parameter counts are the papers' and torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from l2zoo.models import blocks
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils import validation
from l2zoo.utils.arguments import suggest_arguments

EXPANSION = 4  # of a bottleneck's channels at its end
SMALLEST = 8  # pixels


@dataclass(frozen=True)
class Plan:
    """What a depth stands for.

    Attributes:
        filters: Of the first stage; each stage after it has twice as many.
        repeats: Blocks of each stage.
        bottleneck: Whether a block narrows to `filters` and widens to four times as many.
        imagenet: Whether the stem is a 7x7 convolution and a pooling, which together divide by 4.
    """

    filters: int
    repeats: tuple[int, ...]
    bottleneck: bool = False
    imagenet: bool = True

    @property
    def stride(self) -> int:
        """Pixels of the image for one of the last features, in each direction."""
        return 2 ** (len(self.repeats) - 1) * (4 if self.imagenet else 1)


# He et al. 2015: section 4.2 (6n + 2 layers) and table 1.
DEPTHS = {
    **{6 * n + 2: Plan(16, (n, n, n), imagenet=False) for n in (3, 5, 7, 9, 18)},
    18: Plan(64, (2, 2, 2, 2)),
    34: Plan(64, (3, 4, 6, 3)),
    50: Plan(64, (3, 4, 6, 3), bottleneck=True),
    101: Plan(64, (3, 4, 23, 3), bottleneck=True),
    152: Plan(64, (3, 8, 36, 3), bottleneck=True),
}


@suggest_arguments
def build_resnet(
    input_shape: Sequence[int],
    *,
    num_classes: int,
    depth: int = 20,
    version: int = 1,
    dropout: float = 0.0,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a residual network that classifies images.

    Args:
        input_shape: `(H, W, C)`; pixels in [0, 255] go in. `H` and `W` must be at least 8 for the small
            family and 32 for the large one.
        num_classes: At least 2.
        depth: 20, 32, 44, 56 or 110, for images of about 32x32; 18, 34, 50, 101 or 152, for about 224x224.
        version: 1, or 2 for batch norm and ReLU in front of each convolution.
        dropout: Share of the pooled features put to zero while training, in [0, 1).
        weights: Trained weights to begin with: the name of a saved model of this architecture, such as
            `"digits"` or `"mnist"`, or an artifact's folder. `None` for random ones.
        l2: The penalty: a lambda, a `Strength`, an `L2Policy` or none.
        name: Of the model; `resnet20` or `resnet20v2` by default.

    Returns:
        A model from images `(B, H, W, C)` to probabilities `(B, num_classes)`. Features at the end of each
        stage are the outputs of the layers `stage1`, `stage2`, ...

    Raises:
        TypeError: A count that is not a whole number.
        FileNotFoundError: There are no such `weights`.
        ValueError: A depth or version that does not exist, an image that is too small, bad counts.

    References:
        He, Zhang, Ren, Sun 2015, Deep Residual Learning for Image Recognition: the large family of table 1
        with projections where the shape changes (option B), the small one of section 4.2 with zeros there
        (option A). In bottlenecks the 3x3 convolution has the stride, as in torchvision, not the first 1x1.
        He et al. 2016, Identity Mappings in Deep Residual Networks (version 2).

    Example:
        >>> build_resnet((32, 32, 3), num_classes=10, depth=20, l2=5e-5).name
        'resnet20'
    """
    if validation.whole_number("depth", depth, at_least=1) not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}, got depth={depth!r}.")
    if version not in (1, 2):
        raise ValueError(f"`version` must be 1 or 2, got version={version!r}.")
    plan = DEPTHS[depth]
    inputs, x = blocks.pixels(input_shape, smallest=max(plan.stride, SMALLEST))
    x = _stem(x, plan, version=version)
    unit = {(1, False): _basic, (1, True): _bottleneck, (2, False): _basic_v2, (2, True): _bottleneck_v2}
    block = unit[version, plan.bottleneck]
    for stage, repeats in enumerate(plan.repeats, start=1):
        filters = plan.filters * 2 ** (stage - 1)
        for number in range(1, repeats + 1):
            last = f"stage{stage}" if number == repeats else None
            stride = 2 if stage > 1 and number == 1 else 1
            layer = f"stage{stage}_block{number}"
            x = block(x, filters, stride=stride, pad=not plan.imagenet, name=layer, last=last)
    if version == 2:
        x = blocks.relu(blocks.norm(x, name="head"), name="head")
    outputs = blocks.classify(x, num_classes, dropout=dropout)
    architecture = f"resnet{depth}{'v2' if version == 2 else ''}"
    model = keras.Model(inputs, outputs, name=name or architecture)
    return L2Policy.of(l2).apply(load_weights(model, weights, architecture=architecture))


def _stem(x: keras.KerasTensor, plan: Plan, *, version: int) -> keras.KerasTensor:
    """From pixels to the features that the first stage works on."""
    kernel, stride = (7, 2) if plan.imagenet else (3, 1)
    x = blocks.bare_conv(x, plan.filters, kernel_size=kernel, stride=stride, name="stem_conv")
    if version == 1:  # version 2 normalises at the beginning of each block
        x = blocks.relu(blocks.norm(x, name="stem_conv"), name="stem_conv")
    if plan.imagenet:
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    return x


def _basic(
    x: keras.KerasTensor, filters: int, *, stride: int, pad: bool, name: str, last: str | None
) -> keras.KerasTensor:
    """`relu(shortcut(x) + bn(conv(relu(bn(conv(x))))))`, both convolutions 3x3 (figure 2)."""
    shortcut = _shortcut(x, filters, stride=stride, pad=pad, name=name)
    x = blocks.bare_conv(x, filters, stride=stride, name=f"{name}_conv1")
    x = blocks.relu(blocks.norm(x, name=f"{name}_conv1"), name=f"{name}_conv1")
    x = blocks.norm(blocks.bare_conv(x, filters, name=f"{name}_conv2"), name=f"{name}_conv2")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.ReLU(name=last or f"{name}_relu")(x)


def _bottleneck(
    x: keras.KerasTensor, filters: int, *, stride: int, pad: bool, name: str, last: str | None
) -> keras.KerasTensor:
    """1x1 to `filters`, 3x3, 1x1 to four times `filters`, each normalised (figure 5)."""
    shortcut = _shortcut(x, EXPANSION * filters, stride=stride, pad=pad, name=name)
    x = blocks.bare_conv(x, filters, kernel_size=1, name=f"{name}_conv1")
    x = blocks.relu(blocks.norm(x, name=f"{name}_conv1"), name=f"{name}_conv1")
    x = blocks.bare_conv(x, filters, stride=stride, name=f"{name}_conv2")
    x = blocks.relu(blocks.norm(x, name=f"{name}_conv2"), name=f"{name}_conv2")
    x = blocks.bare_conv(x, EXPANSION * filters, kernel_size=1, name=f"{name}_conv3")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, blocks.norm(x, name=f"{name}_conv3")])
    return keras.layers.ReLU(name=last or f"{name}_relu")(x)


def _basic_v2(
    x: keras.KerasTensor, filters: int, *, stride: int, pad: bool, name: str, last: str | None
) -> keras.KerasTensor:
    """`shortcut(x) + conv(relu(bn(conv(relu(bn(x))))))` (He et al. 2016, figure 4e)."""
    before, shortcut = _preactivation(x, filters, stride=stride, pad=pad, name=name)
    x = blocks.bare_conv(before, filters, stride=stride, name=f"{name}_conv1")
    x = blocks.relu(blocks.norm(x, name=f"{name}_conv1"), name=f"{name}_conv1")
    x = blocks.bare_conv(x, filters, name=f"{name}_conv2")
    return keras.layers.Add(name=last or f"{name}_add")([shortcut, x])


def _bottleneck_v2(
    x: keras.KerasTensor, filters: int, *, stride: int, pad: bool, name: str, last: str | None
) -> keras.KerasTensor:
    """The bottleneck with norm and ReLU in front of each of its three convolutions."""
    before, shortcut = _preactivation(x, EXPANSION * filters, stride=stride, pad=pad, name=name)
    x = blocks.bare_conv(before, filters, kernel_size=1, name=f"{name}_conv1")
    x = blocks.relu(blocks.norm(x, name=f"{name}_conv1"), name=f"{name}_conv1")
    x = blocks.bare_conv(x, filters, stride=stride, name=f"{name}_conv2")
    x = blocks.relu(blocks.norm(x, name=f"{name}_conv2"), name=f"{name}_conv2")
    x = blocks.bare_conv(x, EXPANSION * filters, kernel_size=1, name=f"{name}_conv3")
    return keras.layers.Add(name=last or f"{name}_add")([shortcut, x])


def _preactivation(
    x: keras.KerasTensor, filters: int, *, stride: int, pad: bool, name: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """What goes into the convolutions, and the shortcut: `x` itself, or a projection of what goes in."""
    before = blocks.relu(blocks.norm(x, name=f"{name}_pre"), name=f"{name}_pre")
    if x.shape[-1] == filters and stride == 1:
        return before, x
    if pad:
        return before, _pad_channels(x, filters, stride=stride, name=f"{name}_shortcut")
    return before, blocks.bare_conv(before, filters, kernel_size=1, stride=stride, name=f"{name}_shortcut")


def _shortcut(x: keras.KerasTensor, filters: int, *, stride: int, pad: bool, name: str) -> keras.KerasTensor:
    """`x` where the shape stays; else a 1x1 projection (option B), or zeros for new channels (option A)."""
    if x.shape[-1] == filters and stride == 1:
        return x
    name = f"{name}_shortcut"
    if pad:
        return _pad_channels(x, filters, stride=stride, name=name)
    return blocks.norm(blocks.bare_conv(x, filters, kernel_size=1, stride=stride, name=name), name=name)


def _pad_channels(x: keras.KerasTensor, filters: int, *, stride: int, name: str) -> keras.KerasTensor:
    """Every `stride`-th pixel, with zeros for the channels that are new: no weights at all."""
    x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}_subsample")(x)
    _, height, width, channels = x.shape
    before = (filters - channels) // 2
    # Keras pads rows and columns alone: so channels become columns for a moment.
    x = keras.layers.Reshape((height * width, channels, 1), name=f"{name}_flat")(x)
    zeros = ((0, 0), (before, filters - channels - before))
    x = keras.layers.ZeroPadding2D(zeros, name=f"{name}_zeros")(x)
    return keras.layers.Reshape((height, width, filters), name=name)(x)
