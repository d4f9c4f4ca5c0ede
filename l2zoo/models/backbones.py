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

from l2zoo.arguments import one_of, whole_number
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
    alpha: float = 1.0,
    weights: str | Path | None = None,
    trainable: bool = True,
) -> keras.Model:
    """A model of keras.applications without its top, for raw pixels.

    Its batch norm follows the data with the momentum of our own models: with Keras's, of up to 0.999, a model
    that was trained for a few hundred steps still predicts with the statistics of its random weights.

    Args:
        name: As there, e.g. `"MobileNetV2"`; one of `NAMES`. Left out are those that want colours turned
            round (VGG, ResNet version 1), or whose features do not halve from stride to stride (Inception,
            NASNet, Xception: their convolutions have no padding).
        input_shape: `(H, W, 3)`, or `(H, W, 1)`: grey images are shown in all three channels.
        alpha: Of the MobileNets: how wide they are. ImageNet's weights exist for some widths only.
        weights: `None`, a file of weights, or `"imagenet"`, which Keras downloads when it has them not.
        trainable: Whether it learns. A frozen backbone keeps its batch norm's statistics too.

    Returns:
        A model from pixels in [0, 255] to its last features, all layers at its top level.

    Raises:
        ValueError: There is no such model, or it cannot take such images.
        OSError: The weights cannot be downloaded; the message says from where they can be got.
    """
    one_of("name", name, NAMES)
    inputs, x = blocks.pixels(input_shape, smallest=32)
    if x.shape[-1] == 1:
        x = keras.layers.Concatenate(name="grey")([x] * 3)
    prepare = next(prepare for family, prepare in _PREPARE.items() if name.startswith(family))
    x = prepare()(x)
    builder = getattr(keras.applications, name)
    if alpha != 1 and "alpha" not in inspect.signature(builder).parameters:
        raise ValueError(f"`alpha` must be 1 for {name}, which has one width, got alpha={alpha}.")
    width = {} if alpha == 1 else {"alpha": alpha}
    source = None if weights is None else str(weights)
    try:
        model = builder(include_top=False, input_tensor=x, weights=source, **width)
    except (ValueError, TypeError):
        raise
    except Exception as error:  # which is all that Keras raises when it cannot fetch a file
        raise OSError(
            f"The weights of {name} could not be read: {error}. weights='imagenet' downloads them; where "
            "there is no network, give the path of a file with them, or weights=None to train from the start."
        ) from error
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = blocks.BN_MOMENTUM  # theirs is up to 0.999, for millions of images
    # Keras has the input of these models in a list, and warns of whoever calls them without.
    model = keras.Model(inputs, model.output, name=model.name)
    model.trainable = trainable
    return model


def unfreeze(model: keras.Model, levels: int | None, *, batch_norm: bool = False) -> keras.Model:
    """Lets the head and the top levels of a model learn, and freezes what lies below them.

    A level is what lies between the last features of one size and those of the next; levels without weights
    do not count. A head is what comes after the last features. What is frozen carries its penalty, which
    counts only once it learns. Compile the model again afterwards: what an optimizer trains was settled when
    it was compiled.

    Args:
        model: A backbone as for `features`, with a head of its own or without.
        levels: How many learn, counted from the smallest features on; 0 is the head alone, `None` all.
        batch_norm: Whether the batch norm of these levels learns as well. If not, it keeps its weights and
            its statistics, which a few images would spoil.

    Returns:
        The same model.

    Raises:
        TypeError: `model` is not a functional Keras model, or `levels` not an integer.
        ValueError: There are not as many levels.

    References:
        Howard and Ruder 2018, Universal Language Model Fine-tuning for Text Classification (gradual
        unfreezing, there a layer at a time).

    Example:
        >>> resnet = application("ResNet50V2", (64, 64, 3))
        >>> len(unfreeze(resnet, 1).trainable_weights) < len(unfreeze(resnet, 2).trainable_weights)
        True
    """
    starts, head = _starts(model)
    wanted = len(starts) if levels is None else whole_number("levels", levels, at_least=0)
    if wanted > len(starts):
        raise ValueError(
            f"`levels` must be at most the {len(starts)} that {model.name!r} has, got levels={levels}."
        )
    first = [head, *reversed(starts)][wanted]
    model.trainable = True  # or what its layers say would not count
    for number, layer in enumerate(model.layers):
        keeps = isinstance(layer, keras.layers.BatchNormalization) and not batch_norm and number < head
        layer.trainable = number >= first and not keeps
    return model


def _starts(model: keras.Model) -> tuple[list[int], int]:
    """Number of the first layer of each level with weights, largest features first, and of the head."""
    levels = _levels(model)
    deepest, (last, _) = max(levels.items(), key=lambda level: level[1][0])
    # Larger strides than that of the last features are those of a squeeze, within a block.
    ends = [last_of_level for stride, (last_of_level, _) in sorted(levels.items()) if stride <= deepest]
    starts = [0, *(end + 1 for end in ends[:-1])]
    spans = zip(starts, ends, strict=True)
    found = [a for a, b in spans if any(layer.weights for layer in model.layers[a : b + 1])]
    return found, last + 1


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
    found = _levels(backbone)
    missing = [stride for stride in strides if stride not in found]
    if missing:
        raise ValueError(
            f"`backbone` {backbone.name!r} has no features at stride {missing} for images "
            f"{height}x{width}; it has some at {sorted(found)}. Images whose sides "
            f"{max(strides)} divides help."
        )
    return [found[stride][1] for stride in strides]


def _levels(backbone: keras.Model) -> dict[int, tuple[int, keras.KerasTensor]]:
    """By stride: the number of the last layer with such features, and the features."""
    height, width, _ = _image_shape(backbone)
    found: dict[int, tuple[int, keras.KerasTensor]] = {}
    for number, layer in enumerate(backbone.layers):
        shape: Any = getattr(getattr(layer, "output", None), "shape", ())
        if len(shape) == 4 and shape[1] and height % shape[1] == 0 and width % shape[2] == 0:
            stride = height // shape[1]
            if stride == width // shape[2] and not isinstance(layer, keras.layers.InputLayer):
                found[stride] = number, layer.output
    return found


def _image_shape(backbone: keras.Model) -> tuple[int, int, int]:
    if not isinstance(backbone, keras.Model) or not getattr(backbone, "inputs", None):
        raise TypeError(f"`backbone` must be a functional Keras model, got {type(backbone).__name__}.")
    return tuple(backbone.inputs[0].shape[1:])
