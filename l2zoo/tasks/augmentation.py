"""Batches that look different in every epoch, with labels, masks and boxes that follow; by name.

What a batch becomes depends on the seed of the run and the number of the batch alone. So a run that was
killed and resumed sees what it would have seen, and it does not matter how many batches are made at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras

from l2zoo.data import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.tasks import random_layers
from l2zoo.utils.validation import one_of, whole_numbers

if TYPE_CHECKING:
    import tensorflow as tf

LEAST_AREA = 0.1  # boxes of which less is left become padding

# What a layer needs so that boxes and pixels are exact under every global setting of Keras.
_EXACT = {"dtype": "float32", "data_format": "channels_last", "bounding_box_format": "xyxy"}
# Black, and not labelled, where an image has moved away.
_BLACK = {**_EXACT, "fill_mode": "constant", "fill_value": 0.0}

AUGMENTATIONS: dict[str, Callable[[], list[keras.layers.Layer]]] = {
    "none": lambda: [],
    "flip": lambda: [keras.layers.RandomFlip("horizontal", **_EXACT)],
    # By whole pixels, as padding and cropping would (He et al. 2015, section 4.2).
    "shift": lambda: [keras.layers.RandomTranslation(1 / 8, 1 / 8, interpolation="nearest", **_BLACK)],
    "zoom": lambda: [keras.layers.RandomZoom(0.2, **_BLACK)],
    # Keras's ranges differ: a brightness of +-0.2, a contrast of 1 +- 0.2, a saturation around its 0.5.
    "color": lambda: [
        keras.layers.RandomBrightness(0.2, **_EXACT),
        keras.layers.RandomContrast((0.2, 0.2), **_EXACT),
        keras.layers.RandomSaturation((0.4, 0.6), **_EXACT),
        keras.layers.RandomHue(0.05, **_EXACT),
    ],
    "rand_augment": lambda: [keras.layers.RandAugment(**_EXACT)],
    # In half of the images; of the area, as the product of two shares of the sides.
    "erase": lambda: [keras.layers.RandomErasing((0.5, 0.5), scale=(0.02, 0.33), **_EXACT)],
    "mixup": lambda: [keras.layers.MixUp(alpha=0.2, **_EXACT)],
    # The beta distribution of the paper, with alpha=1; Keras's default draws an alpha for every batch.
    "cutmix": lambda: [keras.layers.CutMix((1.0, 1.0), **_EXACT)],
}
NEEDS_COLOR = ("color", "rand_augment")
KIND_OF_TASK = {"classification": "labels", "segmentation": "masks", "detection": "boxes"}


class Augmentation:
    """Keras's image preprocessing layers, one after another, repeatable by a seed.

    For `tf.data.Dataset.map`, on batches, on every backend of Keras; it gives TensorFlow's tensors.

    Args:
        layers: Such as `keras.layers.RandomFlip`, with `bounding_box_format="xyxy"` for boxes.

    Raises:
        TypeError: Not an image preprocessing layer.
        ValueError: A layer that computes in another type than float32, or channels first.

    Example:
        >>> import numpy as np
        >>> flip = Augmentation([keras.layers.RandomFlip("horizontal")])
        >>> images, labels = np.zeros((2, 8, 8, 3), "uint8"), np.eye(2, dtype="float32")
        >>> images, labels = flip(images, labels, seed=(0, 7))
    """

    def __init__(self, layers: Sequence[keras.layers.Layer]):
        self.layers = tuple(layers)
        for layer in self.layers:
            random_layers.check_layer(layer)

    def __call__(self, images: Any, targets: Any, seed: Any) -> tuple[tf.Tensor, Any]:
        """Gives a batch as the seed has it.

        Args:
            images: `(B, H, W, C)`, pixels in [0, 255], of any type.
            targets: One-hot labels `(B, K)` or masks `(B, H, W, K)`, float32; a pixel of zeros is not
                labelled. Or a dict of `boxes_xyxy` `(B, M, 4)`, float32 in pixels, and `labels` `(B, M)`,
                int64, -1 for padding.
            seed: `(2,)`, integers: the seed of the run and the number of the batch.

        Returns:
            Images of the same shape, float32 in [0, 255], and targets. Pixels that were filled with a
            constant are not labelled. Boxes are inside the image; those with less than `LEAST_AREA` of
            their area left have become padding, where they stand.

        Raises:
            ValueError: Targets of no such shape, or that a layer cannot transform.
        """
        import tensorflow as tf

        return self._graph(images, targets, tf.cast(seed, tf.int64))

    @functools.cached_property
    def _graph(self) -> Callable[..., Any]:
        import tensorflow as tf

        # Keras's layers compute with TensorFlow, whatever the backend, wherever a TensorFlow graph is made.
        return tf.function(self._apply_layers, autograph=False, reduce_retracing=True)

    def _apply_layers(self, images: tf.Tensor, targets: Any, seed: tf.Tensor) -> tuple[tf.Tensor, Any]:
        import tensorflow as tf

        kind = random_layers.target_kind(targets)
        images, after = tf.cast(images, tf.float32), targets
        for index, layer in enumerate(self.layers):
            mine = tf.random.fold_in(seed, index)
            images, after = random_layers.apply_layer(layer, images, after, seed=mine)
            images = tf.clip_by_value(images, 0.0, 255.0)
        return images, _clip_boxes(after, targets, tf.shape(images)) if kind == "boxes" else after


def augmentation(names: Sequence[str] | str, *, task: str, image_shape: Sequence[int]) -> Augmentation | None:
    """Makes an augmentation by name.

    Nothing is done that was not asked for: a digit or a letter, for one, must not be flipped.

    Args:
        names: Of `AUGMENTATIONS`: a sequence of them, or one string with `+` or `,` between. In that order,

            - "flip": left and right exchanged, in half of the images;
            - "shift": moved by up to 1/8 of its height and width;
            - "zoom": smaller or larger by up to 20 percent;
            - "color": brightness, contrast, saturation and hue;
            - "rand_augment": two of eleven distortions, strong (turned by up to half a circle), and slow; not
              for detection, as Keras moves boxes in another order than pixels;
            - "erase": in half of the images a rectangle of 2 to 33 percent of the area becomes noise; for
              classification alone, as masks and boxes would still tell what is hidden;
            - "mixup", "cutmix": two images and their labels mixed, or a part of one pasted into the other;
              for classification alone, as Keras does not mix masks and boxes rightly;
            - "none": as it is.
        task: `"classification"`, `"segmentation"` or `"detection"`.
        image_shape: `(H, W, C)`.

    Returns:
        An `Augmentation`, or `None` for "none".

    Raises:
        ValueError: An unknown name or task, a name twice, or one that is not for the task or for grey images.

    References:
        Cubuk, Zoph, Shlens, Le 2020, RandAugment; Keras draws two distortions for a batch, not for an image.
        Zhang, Cisse, Dauphin, Lopez-Paz 2018, mixup: Beyond Empirical Risk Minimization.
        Yun et al. 2019, CutMix. Zhong, Zheng, Kang, Li, Yang 2020, Random Erasing Data Augmentation.

    Example:
        >>> len(augmentation("flip+shift", task="classification", image_shape=(32, 32, 3)).layers)
        2
    """
    names = augmentation_names(names)
    kind = KIND_OF_TASK[one_of("task", task, tuple(KIND_OF_TASK))]
    channels = whole_numbers("image_shape", image_shape, at_least=1)[-1]
    layers = [layer for name in names for layer in _layers(name, kind, channels)]
    return Augmentation(layers) if layers else None


def augmentation_names(names: Sequence[str] | str) -> list[str]:
    """The names of augmentations, which may be one string with `+` or `,` between, in their order.

    Raises:
        ValueError: An unknown name, or a name twice.
    """
    names = names.replace("+", ",").split(",") if isinstance(names, str) else names
    names = [one_of("names", name.strip(), tuple(AUGMENTATIONS)) for name in names]
    if len(set(names)) < len(names) or ("none" in names and len(names) > 1):
        raise ValueError(f"`names` must be different ones, or 'none' alone, got names={names}.")
    return names


def one_hot_targets(data: ImageData, num_classes: int, *, task: str, augment: str) -> Prepared:
    """Data with one-hot labels `(B, K)`, or masks `(B, H, W, K)`, that follow an augmentation.

    Args:
        data: Images with labels or masks; a number outside the classes becomes zeros.
        num_classes: K.
        task: `"classification"` or `"segmentation"`.
        augment: What `augmentation` takes; for training alone.
    """
    change = augmentation(augment, task=task, image_shape=data.image_shape)

    def prepare(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        wanted = tf.one_hot(targets, num_classes)
        return (images, wanted) if change is None or seed is None else change(images, wanted, seed)

    return Prepared(data, prepare, {"task": task, "augment": augment})


def _layers(name: str, kind: str, channels: int) -> list[keras.layers.Layer]:
    """The layers of an augmentation that is fit for the targets and the images."""
    if name in NEEDS_COLOR and channels != 3:
        raise ValueError(
            f"Augmentation {name!r} needs images of 3 channels (red, green, blue), got channels={channels}."
        )
    layers = AUGMENTATIONS[name]()
    for layer in layers:
        try:
            random_layers.check_fit(layer, kind)
        except ValueError as error:
            raise ValueError(f"Augmentation {name!r} is not for {kind}: {error}") from None
    return layers


def _clip_boxes(after: dict[str, tf.Tensor], before: dict[str, tf.Tensor], shape: tf.Tensor) -> Any:
    """Boxes clipped to the image `(B, H, W, C)`; padding in the place of those that are hardly left."""
    import tensorflow as tf

    right_bottom = tf.cast(tf.stack([shape[2], shape[1]] * 2), tf.float32)
    boxes = tf.clip_by_value(after["boxes_xyxy"], 0.0, right_bottom)
    least = tf.maximum(LEAST_AREA * _area(before["boxes_xyxy"]), 1e-6)
    stays = (before["labels"] >= 0) & (_area(boxes) >= least)  # (B, M)
    return {
        "boxes_xyxy": tf.where(stays[..., None], boxes, 0.0),
        "labels": tf.where(stays, before["labels"], tf.constant(-1, before["labels"].dtype)),
    }


def _area(boxes_xyxy: tf.Tensor) -> tf.Tensor:
    sides = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    return sides[..., 0] * sides[..., 1]
