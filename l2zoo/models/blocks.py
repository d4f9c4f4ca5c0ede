"""What the architectures share: the way in (raw pixels), convolution and norm, the way out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from l2zoo.utils import validation

# One choice for every model here, stated once. Keras's own momentum of 0.99 needs hundreds of steps
# before the moving statistics are of use; 0.9 suits short runs (PyTorch and keras-hub use it too).
BN_MOMENTUM = 0.9
BN_EPSILON = 1e-5
KERNEL_INITIALIZER = "he_normal"  # keeps the variance through ReLU (He et al. 2015)
MAX_PIXEL = 255.0


def pixels(input_shape: Sequence[int], *, smallest: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The way into a model: raw pixels in [0, 255], scaled to [0, 1] inside.

    Args:
        input_shape: As for `image_input`.
        smallest: Likewise.

    Returns:
        The model's input `(B, H, W, C)`, and the scaled pixels of the same shape.

    Raises:
        TypeError: As `image_input` does.
        ValueError: Likewise.
    """
    inputs = image_input(input_shape, smallest=smallest)
    return inputs, keras.layers.Rescaling(1.0 / MAX_PIXEL, name="rescale")(inputs)


def image_input(input_shape: Sequence[int], *, smallest: int) -> keras.KerasTensor:
    """Raw pixels in [0, 255], as they are.

    Args:
        input_shape: `(H, W, C)`, without the batch.
        smallest: The smallest `H` and `W` the architecture works for, in pixels.

    Returns:
        The model's input `(B, H, W, C)`.

    Raises:
        TypeError: `input_shape` is not a sequence of three whole numbers.
        ValueError: It has not three entries, `H` or `W` is below `smallest`, or `C` is below 1.
    """
    form = "`input_shape` must be (height, width, channels), without the batch"
    if isinstance(input_shape, (str, bytes)) or not isinstance(input_shape, Sequence):
        raise TypeError(f"{form}, got input_shape={input_shape!r}.")
    if len(input_shape) != 3:
        hint = " Grey images need a last axis of 1." if len(input_shape) == 2 else ""
        raise ValueError(f"{form}, got input_shape={tuple(input_shape)}.{hint}")
    shape = validation.whole_numbers("input_shape", input_shape, at_least=1)
    if min(shape[:2]) < smallest:
        raise ValueError(
            f"`input_shape` must be at least {smallest}x{smallest} pixels, got input_shape={shape}. "
            "Enlarge the images first."
        )
    return keras.Input(shape, name="pixels")


def check_sides(input_shape: Sequence[int], stride: int) -> None:
    """Raises a `ValueError` unless the coarsest stride of a U-Net divides the sides of images `(H, W, C)`."""
    if any(side % stride for side in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must have sides that {stride} divides, 2 for each entry of `filters` but the "
            f"first, got input_shape={tuple(input_shape)}. Pad or resize the images, or use fewer `filters`."
        )


def conv(
    x: keras.KerasTensor,
    filters: int,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    pool: int = 1,
    batch_norm: bool = True,
    name: str,
) -> keras.KerasTensor:
    """`relu(bn(max_pool(conv(x))))`. The convolution has a bias only without norm, which would take it off.

    Args:
        x: Features `(B, H, W, C)`.
        filters: Channels of the output, at least 1.
        kernel_size: Side of the square kernel, in pixels.
        stride: Downsampling of `H` and `W`, in pixels.
        pool: Side of the max pooling's window and its stride, in pixels; 1 for none.
        batch_norm: Whether there is a norm.
        name: The convolution's name; the other layers append `_pool`, `_bn` and `_relu` to it.

    Returns:
        Features `(B, ceil(H / stride / pool), ceil(W / stride / pool), filters)`.

    References:
        Ioffe and Szegedy 2015, Batch Normalization, section 3.2.
    """
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer=KERNEL_INITIALIZER,
        name=name,
    )(x)
    if pool > 1:
        # Before the norm, not after: it keeps the same pixels (norm and ReLU do not change their order
        # while gamma > 0), and the norm, which costs more than a small convolution, has less to do.
        x = keras.layers.MaxPooling2D(pool, padding="same", name=f"{name}_pool")(x)
    if batch_norm:
        x = norm(x, name=name)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def bare_conv(
    x: keras.KerasTensor, filters: int, *, kernel_size: int = 3, stride: int = 1, name: str
) -> keras.KerasTensor:
    """A convolution without bias, for a norm behind it, padded alike on all sides.

    Keras's `padding="same"` puts the odd pixel of a strided convolution to the right and below; PyTorch and
    the papers' Caffe pad both sides. Weights trained there answer the same only with their padding.

    Args:
        x: Features `(B, H, W, C)`.
        filters: Channels of the output.
        kernel_size: Side of the square kernel, odd, in pixels.
        stride: Downsampling of `H` and `W`, in pixels.
        name: The convolution's name; the padding appends `_pad`.

    Returns:
        Features `(B, ceil(H / stride), ceil(W / stride), filters)`.
    """
    padding = "same"
    if stride > 1 and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer=KERNEL_INITIALIZER,
        name=name,
    )(x)


def norm(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Batch norm with this project's momentum and epsilon; the layer's name is `{name}_bn`."""
    return keras.layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"{name}_bn")(x)


def relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """`max(x, 0)`; the layer's name is `{name}_relu`."""
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def classify(x: keras.KerasTensor, num_classes: int, *, dropout: float = 0.0) -> keras.KerasTensor:
    """The way out of a classifier: global average pool, dropout, one dense layer, softmax.

    The softmax computes and answers in float32 whatever the precision of the layers below.

    Args:
        x: Features `(B, H, W, C)`.
        num_classes: Number of classes `K`, at least 2.
        dropout: Share of the pooled features put to zero while training, in [0, 1).

    Returns:
        Probabilities `(B, K)` in float32; each row sums to 1.

    Raises:
        TypeError: `num_classes` is not a whole number, or `dropout` not a number.
        ValueError: `num_classes` is below 2, or `dropout` outside [0, 1).
    """
    classes = validation.whole_number("num_classes", num_classes, at_least=2)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(share("dropout", dropout), name="dropout")(x)
    x = keras.layers.Dense(classes, name="logits")(x)
    return keras.layers.Softmax(dtype="float32", name="probabilities")(x)


def share(name: str, value: Any) -> float:
    """Gives a value as a number in [0, 1).

    Raises:
        TypeError: It is no number.
        ValueError: It is outside.
    """
    expected = f"`{name}` must be a number in [0, 1), got {name}={value!r}."
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(expected)
    try:
        share = float(value)
    except (TypeError, ValueError):
        raise TypeError(expected) from None
    if not (math.isfinite(share) and 0.0 <= share < 1.0):
        raise ValueError(expected)
    return share
