"""Losses by name: Keras's own, for labels and masks that can be smoothed and mixed, and for pixels."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from l2zoo.utils.validation import one_of

_OF_AREAS = (keras.losses.Dice, keras.losses.Tversky)
_BATCH_AND_PLACE = (0, 1, 2)  # of a batch: what is summed before a class's overlap is taken

CLASSIFICATION: Mapping[str, Callable[[float], keras.losses.Loss]] = MappingProxyType(
    {
        "crossentropy": lambda smoothing: keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
        "focal": lambda smoothing: keras.losses.CategoricalFocalCrossentropy(label_smoothing=smoothing),
        "squared_error": lambda smoothing: SquaredError(label_smoothing=smoothing),
    }
)
SEGMENTATION: Mapping[str, Callable[[float], keras.losses.Loss]] = MappingProxyType(
    {
        **CLASSIFICATION,
        "dice": lambda _: keras.losses.Dice(axis=_BATCH_AND_PLACE),
        # The weight of what is missed and of what is found wrongly, 0.7 and 0.3 in the paper; Keras's
        # `alpha` is the former, the paper's the latter (Salehi et al. 2017, Tversky loss function).
        "tversky": lambda _: keras.losses.Tversky(alpha=0.7, beta=0.3, axis=_BATCH_AND_PLACE),
    }
)
PIXELS: Mapping[str, Callable[[], keras.losses.Loss]] = MappingProxyType(
    {
        "crossentropy": keras.losses.BinaryCrossentropy,
        "absolute": keras.losses.MeanAbsoluteError,
        "squared": keras.losses.MeanSquaredError,
    }
)


def classification_loss(name: str, *, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """The loss of a classifier, for one-hot labels and probabilities `(B, K)`.

    Args:
        name: `"crossentropy"`, `"focal"` (Lin et al. 2017, with Keras's alpha 0.25 and gamma 2), or
            `"squared_error"`, the `1 / (2n) * sum of squared errors` of textbooks.
        label_smoothing: Share of a label that is spread over all classes, in [0, 1).

    Raises:
        ValueError: An unknown name, a share out of range.

    Example:
        >>> classification_loss("focal", label_smoothing=0.1).label_smoothing
        0.1
    """
    one_of("loss", name, tuple(CLASSIFICATION))
    return CLASSIFICATION[name](_check_smoothing(label_smoothing))


def segmentation_loss(name: str, *, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """The loss of a segmenter, for one-hot masks and probabilities `(B, H, W, K)`.

    Pixels whose target is zero for every class are not labelled, and do not count.

    Args:
        name: `"crossentropy"`, `"focal"`, `"squared_error"`, `"dice"` (1 - Dice of each class over the
            batch, their mean) or `"tversky"` (likewise, where what is missed weighs 0.7 and what is found
            wrongly 0.3); or the sum of some of them, as in `"dice+crossentropy"`: the one finds small
            classes, the other edges.
        label_smoothing: Share of a label that is spread over all classes, in [0, 1); for the first three.

    Raises:
        ValueError: An unknown name, a share out of range or for a loss that has none.

    References:
        Isensee et al. 2021, nnU-Net (the sum of Dice and cross-entropy).
    """
    names = name.split("+")
    if len(names) > 1:
        return Sum([segmentation_loss(one, label_smoothing=label_smoothing) for one in names])
    one_of("loss", name, tuple(SEGMENTATION))
    if label_smoothing and name not in CLASSIFICATION:
        raise ValueError(
            f"`label_smoothing` is for {list(CLASSIFICATION)}, which compare pixel by pixel; loss={name!r} "
            "compares areas. Use label_smoothing=0."
        )
    return LabelledPixels(SEGMENTATION[name](_check_smoothing(label_smoothing)))


def pixel_loss(name: str) -> keras.losses.Loss:
    """The loss of a model that answers pixels in [0, 255].

    Args:
        name: `"crossentropy"`, where a pixel is the share of white in it (Shi et al. 2015); `"absolute"` or
            `"squared"`, the mean error. All of pixels / 255, so that a strength of L2 weighs alike.

    Raises:
        ValueError: An unknown name.

    Example:
        >>> loss = pixel_loss("absolute")(ops.array([[0.0, 255.0]]), ops.array([[51.0, 255.0]]))
        >>> round(float(loss), 3)
        0.1
    """
    return OfPixels(PIXELS[one_of("loss", name, tuple(PIXELS))]())


@keras.saving.register_keras_serializable("l2zoo")
class LabelledPixels(keras.losses.Loss):
    """A loss over the labelled pixels only.

    Args:
        loss: Dice, Tversky, or a Keras loss with a value for each pixel of `(B, H, W, K)`.
    """

    def __init__(self, loss: keras.losses.Loss, *, reduction: str = "sum_over_batch_size", **settings: Any):
        super().__init__(reduction=reduction, **{"name": "labelled_pixels", **settings})
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, y_pred.dtype)
        labelled = ops.cast(ops.sum(y_true, axis=-1) > 0, y_pred.dtype)  # (B, H, W)
        if isinstance(self.loss, _OF_AREAS):
            return self.loss.call(y_true, y_pred * labelled[..., None])
        # Not the mean over each image: one with few labelled pixels would weigh as much as a full one.
        share = ops.maximum(ops.sum(labelled), 1.0) / _size(labelled)
        return self.loss.call(y_true, y_pred) * labelled / share

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LabelledPixels:
        return cls(keras.saving.deserialize_keras_object(config.pop("loss")), **config)


@keras.saving.register_keras_serializable("l2zoo")
class SquaredError(keras.losses.Loss):
    """`1 / (2n) * sum over examples and classes of (y - p) ** 2`, as textbooks write a training's objective.

    Keras's `MeanSquaredError` takes the mean over the classes as well, and has no 1/2.

    Args:
        label_smoothing: Share of a label that is spread over all classes, in [0, 1).
    """

    def __init__(
        self, label_smoothing: float = 0.0, *, reduction: str = "sum_over_batch_size", **settings: Any
    ):
        super().__init__(reduction=reduction, **{"name": "squared_error", **settings})
        self.label_smoothing = _check_smoothing(label_smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, y_pred.dtype)
        wanted = y_true * (1 - self.label_smoothing) + self.label_smoothing / y_pred.shape[-1]
        return 0.5 * ops.sum(ops.square(wanted - y_pred), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable("l2zoo")
class Sum(keras.losses.Loss):
    """The sum of losses.

    Args:
        losses: Some.
    """

    def __init__(self, losses: Sequence[keras.losses.Loss], *, reduction: str = "sum", **settings: Any):
        super().__init__(reduction=reduction, **{"name": "sum", **settings})
        self.losses = list(losses)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return sum(loss(y_true, y_pred) for loss in self.losses)

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sum:
        return cls([keras.saving.deserialize_keras_object(loss) for loss in config.pop("losses")], **config)


@keras.saving.register_keras_serializable("l2zoo")
class OfPixels(keras.losses.Loss):
    """A loss of pixels divided by 255.

    Args:
        loss: A Keras loss for values in [0, 1].
    """

    def __init__(self, loss: keras.losses.Loss, *, reduction: str = "sum_over_batch_size", **settings: Any):
        super().__init__(reduction=reduction, **{"name": "of_pixels", **settings})
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, y_pred.dtype)
        return self.loss.call(y_true / 255.0, y_pred / 255.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> OfPixels:
        return cls(keras.saving.deserialize_keras_object(config.pop("loss")), **config)


def _size(values: Any) -> Any:
    return ops.cast(ops.prod(ops.shape(values)), values.dtype)


def _check_smoothing(share: float) -> float:
    if isinstance(share, bool) or not isinstance(share, numbers.Real):
        raise TypeError(f"`label_smoothing` must be a number, got label_smoothing={share!r}.")
    if not 0 <= share < 1:
        raise ValueError(f"`label_smoothing` must be in [0, 1), got label_smoothing={share}.")
    return float(share)
