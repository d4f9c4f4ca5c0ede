"""Losses between pixels in [0, 255], on the scale of [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from l2zoo.utils.validation import one_of

PIXELS: Mapping[str, Callable[[], keras.losses.Loss]] = MappingProxyType(
    {
        "crossentropy": keras.losses.BinaryCrossentropy,
        "absolute": keras.losses.MeanAbsoluteError,
        "squared": keras.losses.MeanSquaredError,
    }
)


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
