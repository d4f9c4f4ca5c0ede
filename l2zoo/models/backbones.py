"""Feature extractors for other architectures: any Keras model, from keras.applications or of one's own.

What is asked of a backbone is that features come out at several strides. They are found by their size, so
that no list of layer names goes out of date.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo.arguments import one_of
from l2zoo.models import blocks

# What must be done to pixels in [0, 1] before the weights of a family of keras.applications make sense.
_STANDARDIZE = {"mean": (0.485, 0.456, 0.406), "variance": (0.229**2, 0.224**2, 0.225**2)}
_PREPARE: dict[str, Callable[[], keras.layers.Layer]] = {
    "DenseNet": lambda: keras.layers.Normalization(**_STANDARDIZE, name="prepare"),
    "EfficientNet": lambda: keras.layers.Rescaling(blocks.MAX_PIXEL, name="prepare"),  # has its own inside
    "ConvNeXt": lambda: keras.layers.Rescaling(blocks.MAX_PIXEL, name="prepare"),
    "MobileNetV3": lambda: keras.layers.Rescaling(blocks.MAX_PIXEL, name="prepare"),
    "MobileNet": lambda: keras.layers.Rescaling(2.0, offset=-1.0, name="prepare"),
    "ResNet50V2": lambda: keras.layers.Rescaling(2.0, offset=-1.0, name="prepare"),
    "ResNet101V2": lambda: keras.layers.Rescaling(2.0, offset=-1.0, name="prepare"),
    "ResNet152V2": lambda: keras.layers.Rescaling(2.0, offset=-1.0, name="prepare"),
}
NAMES = tuple(
    sorted(
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value) and name.startswith(tuple(_PREPARE))
    )
)


def application(
    name: str,
    input_shape: Sequence[int],
    *,
    weights: str | Path | None = None,
    trainable: bool = True,
) -> keras.Model:
    """A model of keras.applications without its top, for raw pixels.

    Args:
        name: As there, e.g. `"MobileNetV2"`; one of `NAMES`. Left out are those that want colours turned
            round (VGG, ResNet version 1), or whose features do not halve from stride to stride (Inception,
            NASNet, Xception: their convolutions have no padding).
        input_shape: `(H, W, 3)`.
        weights: `None`, a file of weights, or `"imagenet"`, which Keras downloads when it has them not.
        trainable: Whether it learns. A frozen backbone keeps its batch norm's statistics too.

    Returns:
        A model from pixels in [0, 255] to its last features, all layers at its top level.

    Raises:
        ValueError: There is no such model, or it cannot take such images.
        OSError: The weights cannot be downloaded; the message says from where they can be got.
    """
    one_of("name", name, NAMES)
    _, x = blocks.pixels(input_shape, smallest=32)
    prepare = next(prepare for family, prepare in _PREPARE.items() if name.startswith(family))
    x = prepare()(x)
    builder = getattr(keras.applications, name)
    try:
        model = builder(include_top=False, input_tensor=x, weights=None if weights is None else str(weights))
    except (ValueError, TypeError):
        raise
    except Exception as error:  # which is all that Keras raises when it cannot fetch a file
        raise OSError(
            f"The weights of {name} could not be read: {error}. weights='imagenet' downloads them; where "
            "there is no network, give the path of a file with them, or weights=None to train from the start."
        ) from error
    model.trainable = trainable
    return model


def borrowed(
    backbone: keras.Model, inputs: keras.KerasTensor, strides: Sequence[int]
) -> list[keras.KerasTensor]:
    """The features of a backbone at some strides, for the pixels of another model.

    Args:
        backbone: As for `features`.
        inputs: The pixels, `(B, H, W, C)`.
        strides: As for `features`.

    Raises:
        TypeError: `backbone` is not a functional Keras model.
        ValueError: It takes images of another shape, or has no features at one of the strides.
    """
    if _image_shape(backbone) != tuple(inputs.shape[1:]):
        raise ValueError(
            f"`backbone` must take images {tuple(inputs.shape[1:])} as the model does, got "
            f"{_image_shape(backbone)}."
        )
    found = features(backbone, strides)
    levels = keras.Model(backbone.inputs, found, name=backbone.name)(inputs)
    return list(levels) if isinstance(levels, (list, tuple)) else [levels]


def features(backbone: keras.Model, strides: Sequence[int]) -> list[keras.KerasTensor]:
    """The last features of a model at each of some strides.

    Args:
        backbone: A functional model from one image to anything, with its layers at the top level.
        strides: Powers of 2: how many pixels of the image, in each direction, one of the features stands for.

    Returns:
        Features `(B, H / stride, W / stride, C)`, in the order of `strides`.

    Raises:
        TypeError: `backbone` is not a functional Keras model.
        ValueError: It has no features at one of the strides; the message lists those it has.
    """
    height, width, _ = _image_shape(backbone)
    found: dict[int, keras.KerasTensor] = {}
    for layer in backbone.layers:
        shape: Any = getattr(getattr(layer, "output", None), "shape", ())
        if len(shape) == 4 and shape[1] and height % shape[1] == 0 and width % shape[2] == 0:
            stride = height // shape[1]
            if stride == width // shape[2] and not isinstance(layer, keras.layers.InputLayer):
                found[stride] = layer.output
    missing = [stride for stride in strides if stride not in found]
    if missing:
        raise ValueError(
            f"`backbone` {backbone.name!r} has no features at stride {missing} for images "
            f"{height}x{width}; it has some at {sorted(found)}. Images whose sides "
            f"{max(strides)} divides help."
        )
    return [found[stride] for stride in strides]


def _image_shape(backbone: keras.Model) -> tuple[int, int, int]:
    if not isinstance(backbone, keras.Model) or not getattr(backbone, "inputs", None):
        raise TypeError(f"`backbone` must be a functional Keras model, got {type(backbone).__name__}.")
    return tuple(backbone.inputs[0].shape[1:])
