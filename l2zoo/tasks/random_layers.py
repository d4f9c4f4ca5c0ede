"""Keras's random image layers, called with a seed, and the targets that follow their pixels.

A Keras layer draws from a generator that remembers how often it was asked, so what a batch gets would depend
on every batch before it. Here the generator is one without memory, for the time of a call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    import tensorflow as tf

# The kinds of targets, and what Keras calls them.
KINDS = {"labels": "labels", "masks": "segmentation_masks", "boxes": "bounding_boxes"}

# What Keras 3.15 does wrong, or fails at late and in words that do not help. Not listed: other layers that
# cannot move boxes at all, which say so by themselves.
UNFIT = {
    "AugMix": (tuple(KINDS), "it draws from Python's global random numbers, which no seed repeats"),
    "CutMix": (
        ("masks", "boxes"),
        "it cuts the channels of images out of masks, and knows no boxes",
    ),
    "MixUp": (
        ("masks", "boxes"),
        "it takes pixels for masks, and joins boxes but not their labels",
    ),
    "RandAugment": (("boxes",), "it moves boxes in another order than pixels"),
    "RandomElasticTransform": (("masks", "boxes"), "it warps targets by other random numbers than pixels"),
    "RandomErasing": (("masks", "boxes"), "what it hides would still be told"),
    "RandomGrayscale": (tuple(KINDS), "it takes images alone"),
    "RandomShear": (("boxes",), "boxes end pixels away from what they enclosed"),
}


class Seeds(keras.random.SeedGenerator):
    """The seeds that one call draws: the n-th depends on the seed of the call and on n alone.

    Args:
        seed: `(2,)`, int64.
    """

    def __init__(self, seed: tf.Tensor):  # not Keras's own, which would make a variable for its state
        self.seed, self.drawn = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        import tensorflow as tf

        self.drawn += 1
        return tf.random.fold_in(self.seed, self.drawn)


def check_layer(layer: Any) -> None:
    """Raises if `layer` is no image layer of Keras's, or too coarse for pixels and boxes."""
    if not hasattr(layer, "get_random_transformation"):
        raise TypeError(
            "`layers` must be Keras's image preprocessing layers, such as keras.layers.RandomFlip, "
            f"got {type(layer).__name__}."
        )
    for name, value in (("compute_dtype", "float32"), ("data_format", "channels_last")):
        if getattr(layer, name) != value:
            raise ValueError(
                f"`layers` must have {name}={value!r}, "
                f"got {type(layer).__name__} with {name}={getattr(layer, name)!r}."
            )


def check_fit(layer: keras.layers.Layer, kind: str) -> None:
    """Raises a `ValueError` if `layer` would leave targets of this kind behind, or move them wrongly."""
    for name, (kinds, reason) in UNFIT.items():
        if isinstance(layer, getattr(keras.layers, name)) and kind in kinds:
            raise ValueError(f"keras.layers.{name} cannot be used with {kind}: {reason}.")
    if kind == "boxes" and layer.bounding_box_format != "xyxy":
        raise ValueError(
            f"`layers` must be built with bounding_box_format='xyxy' for boxes, "
            f"got {type(layer).__name__} with bounding_box_format={layer.bounding_box_format!r}."
        )


def target_kind(targets: Any) -> str:
    """Which of `KINDS` the targets of a batch are.

    Raises:
        ValueError: None of them.
    """
    if isinstance(targets, dict):
        if set(targets) == {"boxes_xyxy", "labels"}:
            return "boxes"
        got = f"a dict of {sorted(targets)}"
    else:
        rank = len(targets.shape)
        if rank in (2, 4):
            return "labels" if rank == 2 else "masks"
        got = f"shape={tuple(targets.shape)}"
    raise ValueError(
        "`targets` must be one-hot labels (B, K), one-hot masks (B, H, W, K), or a dict of 'boxes_xyxy' "
        f"(B, M, 4) and 'labels' (B, M), got {got}."
    )


def apply_layer(
    layer: keras.layers.Layer, images: tf.Tensor, targets: Any, *, seed: tf.Tensor
) -> tuple[tf.Tensor, Any]:
    """A batch after a layer, in a TensorFlow graph, whatever backend Keras has.

    Args:
        layer: An image preprocessing layer.
        images: `(B, H, W, C)`, float32.
        targets: Of one of `KINDS`.
        seed: `(2,)`, int64: decides all that the layer draws.

    Returns:
        Images and targets of the same shapes. Pixels of masks that the layer filled in are all-zero: not
        labelled. The labels of boxes are as they were, even of boxes that left the image.

    Raises:
        ValueError: The layer cannot transform such targets, or changes shapes.
    """
    kind = target_kind(targets)
    check_fit(layer, kind)
    with _use_seeds(Seeds(seed), layer):
        try:
            data = layer({"images": images, KINDS[kind]: _to_keras(targets)}, training=True)
        except NotImplementedError as error:
            raise ValueError(f"keras.layers.{type(layer).__name__} cannot transform {kind}.") from error
    return _same_shape(layer, data["images"], images), _from_keras(layer, data[KINDS[kind]], targets)


@contextlib.contextmanager
def _use_seeds(seeds: Seeds, layer: Any) -> Iterator[None]:
    """Lets `layer` draw from `seeds`.

    The one private name of Keras's that is needed: all its layers ask this method for their generator, also
    those that draw late or on behalf of inner layers, which the public `seed` argument does not reach.
    """
    layer._get_seed_generator = lambda backend=None: seeds
    try:
        yield
    finally:
        del layer._get_seed_generator


def _to_keras(targets: Any) -> Any:
    if isinstance(targets, dict):
        return {"boxes": targets["boxes_xyxy"], "labels": targets["labels"]}
    return targets


def _from_keras(layer: Any, after: Any, before: Any) -> Any:
    import tensorflow as tf

    if isinstance(before, dict):
        # Keras would give float labels, and -1 for boxes without area.
        return {**before, "boxes_xyxy": _same_shape(layer, after["boxes"], before["boxes_xyxy"])}
    after = _same_shape(layer, after, before)
    if len(before.shape) == 4:  # a layer may fill with a grey that is no one-hot class
        after *= tf.cast(tf.reduce_sum(after, axis=-1, keepdims=True) == 1, after.dtype)
    return after


def _same_shape(layer: Any, after: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    if not before.shape.is_compatible_with(after.shape):
        raise ValueError(
            f"`layers` must keep shapes, but {type(layer).__name__} makes {tuple(after.shape)} "
            f"of {tuple(before.shape)}."
        )
    return tf.ensure_shape(after, before.shape)
