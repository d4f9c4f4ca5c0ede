"""Feature extractors for other architectures: any Keras model, of keras.applications, ours, or one's own.

What is asked of a backbone is that features come out at several strides. They are found by their size, so
that no list of layer names goes out of date.
"""

from __future__ import annotations

import collections
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo import zoo
from l2zoo.models import blocks
from l2zoo.utils.validation import one_of, whole_number

# On what the weights of keras.applications were trained, by how the names begin; the first that fits counts.
_PIXELS = {
    "DenseNet": "standardized",
    "EfficientNet": "raw",  # these have their own scaling inside, and so have ours
    "ConvNeXt": "raw",
    "MobileNetV3": "raw",
    "MobileNet": "symmetric",
    "ResNet50V2": "symmetric",
    "ResNet101V2": "symmetric",
    "ResNet152V2": "symmetric",
    "Inception": "symmetric",
    "NASNet": "symmetric",
    "Xception": "symmetric",
    "ResNet": "caffe",
    "VGG": "caffe",
}
_OURS = {f"EfficientNetLite{variant}": f"efficientnet_lite{variant}" for variant in range(5)}
_MEAN, _DEVIATION = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)  # of ImageNet's red, green and blue in [0, 1]
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of ImageNet's blue, green and red in [0, 255]
APPLICATIONS = tuple(
    sorted(
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value) and name.startswith(tuple(_PIXELS))
    )
)
NAMES = tuple(sorted({*APPLICATIONS, *_OURS}))


def application(
    name: str,
    input_shape: Sequence[int],
    *,
    alpha: float = 1.0,
    weights: str | Path | None = None,
    trainable: bool = True,
) -> keras.Model:
    """A model of keras.applications, or an EfficientNet-Lite of ours, without its top, for raw pixels.

    Its batch norm follows the data with the momentum of our own models: with Keras's, of up to 0.999, a model
    that was trained for a few hundred steps still predicts with the statistics of its random weights.

    Args:
        name: As there, e.g. `"MobileNetV2"`, or `"EfficientNetLite0"`; one of `NAMES`. All are classifiers'
            bodies. As the encoder of a U-Net or a detector, Inception and NASNet have too few features whose
            sides divide those of the image: many of their convolutions have no padding.
        input_shape: `(H, W, 3)`, or `(H, W, 1)`: grey images are shown in all three channels.
        alpha: Of the MobileNets: how wide they are. ImageNet's weights exist for some widths only.
        weights: `None`, a file of weights, or `"imagenet"`: those of EfficientNetLite0 come with the package,
            others Keras downloads when it has them not.
        trainable: Whether it learns. A frozen backbone keeps its batch norm's statistics too.

    Returns:
        A model from pixels in [0, 255] to its last features, all layers at its top level.

    Raises:
        ValueError: There is no such model, or it cannot take such images.
        FileNotFoundError: There is no such file of weights.
        OSError: The weights cannot be downloaded; the message says from where they can be got.
    """
    one_of("name", name, NAMES)
    inputs, x = blocks.pixels(input_shape, smallest=32)
    if x.shape[-1] == 1:
        x = keras.layers.Concatenate(name="grey")([x] * 3)
    x = _preprocess(x, next(kind for family, kind in _PIXELS.items() if name.startswith(family)))
    builder = _builder(name)
    if alpha != 1 and "alpha" not in inspect.signature(builder).parameters:
        raise ValueError(f"`alpha` must be 1 for {name}, which has one width, got alpha={alpha}.")
    width = {} if alpha == 1 else {"alpha": alpha}
    source = None if weights is None else str(weights)
    if source not in (None, "imagenet") and not Path(source).is_file():
        raise FileNotFoundError(
            f"`weights` must be None, 'imagenet' or a file, got weights={source!r}, which is not there."
        )
    try:
        model = builder(include_top=False, input_tensor=x, weights=source, **width)
    except (ValueError, TypeError, FileNotFoundError):
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
    model = _stabilise_names(keras.Model(inputs, model.output, name=model.name))
    model.trainable = trainable
    return model


def _builder(name: str) -> Callable[..., keras.Model]:
    """What builds a model without its top on pixels as its weights want them, as keras.applications do."""
    if name not in _OURS:
        builder: Callable[..., keras.Model] = getattr(keras.applications, name)
        return builder

    def build(include_top: bool, input_tensor: keras.KerasTensor, weights: str | None) -> keras.Model:
        own = weights if weights == "imagenet" else None  # any other is a file
        options = {"include_top": include_top, "input_tensor": input_tensor}
        model = zoo.build(_OURS[name], input_tensor.shape[1:], weights=own, options=options)
        if weights != own:
            model.load_weights(weights)
        return model

    return build


def _preprocess(x: keras.KerasTensor, kind: str) -> keras.KerasTensor:
    """Pixels in [0, 1] as weights want them, by layers of Keras's own: a file with them loads anywhere.

    Not by `Normalization`, which divides: TFLite's int8 files lose much there.
    """
    scale: float | list[float] = blocks.MAX_PIXEL
    offset: float | list[float] = 0.0
    if kind == "symmetric":  # in [-1, 1]
        scale, offset = 2.0, -1.0
    elif kind == "standardized":
        scale = [1 / deviation for deviation in _DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)]
    elif kind == "caffe":
        x = _swap_colours(x)
        offset = [-mean for mean in _CAFFE_MEAN]
    return keras.layers.Rescaling(scale, offset=offset, name="prepare")(x)


def _swap_colours(x: keras.KerasTensor) -> keras.KerasTensor:
    """Blue, green and red out of red, green and blue."""
    _, height, width, _ = x.shape
    # Keras crops rows and columns alone: so channels become columns for a moment.
    x = keras.layers.Reshape((height * width, 3, 1), name="prepare_flat")(x)
    channels = [
        keras.layers.Cropping2D(((0, 0), (number, 2 - number)), name=f"prepare_{colour}")(x)
        for number, colour in ((2, "blue"), (1, "green"), (0, "red"))
    ]
    x = keras.layers.Concatenate(axis=2, name="prepare_bgr")(channels)
    return keras.layers.Reshape((height, width, 3), name="prepare_image")(x)


def _stabilise_names(model: keras.Model) -> keras.Model:
    """The model with names that do not depend on what was built before it, where weights have such names.

    Keras counts the layers that keras.applications has not named, across all models of a process. Those of
    ConvNeXt, EfficientNet, Inception and Xception hold weights, which are known by the names of their layers.
    In the others no layer with weights is among them, and they stay as they are.
    """
    counted = [layer for layer in model.layers if _has_a_number(layer)]
    if not any(layer.weights for layer in counted):
        return model
    numbers: collections.Counter[str] = collections.Counter()
    names = {}
    for layer in counted:
        kind = _kind(layer)
        numbers[kind] += 1
        names[layer.name] = f"{kind}_{numbers[kind]}"

    def rename(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        return layer.__class__.from_config({**config, "name": names.get(layer.name, layer.name)})

    return _take_weights(keras.models.clone_model(model, clone_function=rename), model)


def _take_weights(
    twin: keras.Model, model: keras.Model, *, of: type[keras.layers.Layer] = keras.layers.Layer
) -> keras.Model:
    """A clone with the weights of its original, in layers of a kind; the others stay as they were drawn."""
    for mine, theirs in zip(twin.layers, model.layers, strict=True):
        if isinstance(mine, of):
            mine.set_weights(theirs.get_weights())
        if isinstance(mine, keras.layers.Normalization):
            mine.finalize_state()  # or it would go on with the mean and variance it was built with
    return twin


def _has_a_number(layer: keras.layers.Layer) -> bool:
    """Whether Keras has named a layer: by its class and a number."""
    return re.fullmatch(rf"{_kind(layer)}(_\d+)?", layer.name) is not None


def _kind(layer: keras.layers.Layer) -> str:
    """The class of a layer as Keras writes it in names.

    Example:
        >>> _kind(keras.layers.Conv2D(1, 1)), _kind(keras.layers.BatchNormalization())
        ('conv2d', 'batch_normalization')
    """
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def clone_backbone(backbone: keras.Model, *, random: bool = False) -> keras.Model:
    """A backbone of its own weights: training the one leaves the other as it is.

    Args:
        backbone: As for `features`.
        random: Whether the weights are drawn anew instead, by Keras's seed. What `Normalization` knows of
            pixels is no weight to be learnt, and is kept.

    Raises:
        TypeError: `backbone` is not a functional Keras model.

    Example:
        >>> clone_backbone(application("MobileNet", (32, 32, 3))).output.shape
        (None, 1, 1, 1024)
    """
    _image_shape(backbone)
    kept = keras.layers.Normalization if random else keras.layers.Layer
    return _take_weights(keras.models.clone_model(backbone), backbone, of=kept)


def add_classifier(
    backbone: keras.Model, num_classes: int, *, dropout: float = 0.2, name: str = "finetuned"
) -> keras.Model:
    """A new head on a backbone: global average pool, dropout, one dense layer, softmax.

    The backbone's layers are those of the model, not copies: `unfreeze` says which of them learn.

    Args:
        backbone: As for `features`, without its top: its output is features `(B, H, W, C)`.
        num_classes: Number of classes `K`, at least 2.
        dropout: Share of the pooled features put to zero while training, in [0, 1).
        name: The model's name.

    Returns:
        A model, not compiled, from what the backbone takes to probabilities `(B, K)` in float32. Its new
        layers are named `pool`, `dropout`, `logits` and `probabilities`.

    Raises:
        TypeError: `backbone` is not a functional Keras model, or an argument of the wrong type.
        ValueError: `backbone` gives no features, `num_classes` is below 2, or `dropout` outside [0, 1).

    Example:
        >>> add_classifier(application("MobileNet", (32, 32, 1)), 10).output_shape
        (None, 10)
    """
    _image_shape(backbone)
    output = backbone.outputs[0]
    if len(backbone.outputs) != 1 or len(output.shape) != 4:
        shapes = ", ".join(str(tuple(each.shape)) for each in backbone.outputs)
        raise ValueError(
            f"`backbone` must give features (B, H, W, C), got {backbone.name!r}, which gives {shapes}: build "
            "it without its top, include_top=False, and without pooling."
        )
    answers = blocks.classify(output, num_classes, dropout=dropout)
    return keras.Model(backbone.inputs[0], answers, name=name)


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


def apply_backbone(
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
        divides = not any(side % max(strides) for side in (height, width))
        hint = (
            "Use fewer `filters` or other `strides`, or a deeper backbone."
            if divides
            else f"Images whose sides {max(strides)} divides help."
        )
        raise ValueError(
            f"`backbone` {backbone.name!r} has no features at stride {missing} for images "
            f"{height}x{width}; it has some at {sorted(found)}. {hint}"
        )
    return [found[stride][1] for stride in strides]


def strides_of(backbone: keras.Model) -> list[int]:
    """The strides at which a model has features, the smallest first.

    Raises:
        TypeError: `backbone` is not a functional Keras model.
    """
    return sorted(_levels(backbone))


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
