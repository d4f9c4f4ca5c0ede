"""Batches of noisy images, as a denoiser is trained on and judged by them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from l2zoo.data import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.tasks.augmentation import Augmentation
from l2zoo.tasks.diffusion import schedule

if TYPE_CHECKING:
    import tensorflow as tf

DROPPED = 0.1  # share of labels that training replaces by "any" (Ho and Salimans 2022)
DRAWS = 4  # of noise and time that an image may have for good
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, are spread evenly, however many there are


class AddNoise:
    """Puts noise into batches, in a TensorFlow graph.

    Args:
        num_classes: K, 0 for none.
        change: An augmentation for training.
    """

    def __init__(self, num_classes: int, change: Augmentation | None = None):
        self.num_classes, self.change = num_classes, change

    def __call__(self, images: Any, labels: Any, seed: Any) -> tuple[Any, Any]:
        """A batch as the seed `(2,)` has it."""
        import tensorflow as tf

        seeds = [tf.random.fold_in(seed, number) for number in range(4)]
        if self.change is not None:
            images, _ = self.change(images, tf.zeros((tf.shape(images)[0], 1)), seeds[0])
        count, shape = tf.shape(images)[:1], tf.shape(images)
        # One random time, and the others evenly behind it: the loss varies less than with times that are
        # each random (Kingma et al. 2021, Variational Diffusion Models, appendix I.1).
        first = tf.random.stateless_uniform((), seeds[1], dtype=tf.float64)
        times = (first + tf.cast(tf.range(count[0]), tf.float64) / tf.cast(count[0], tf.float64)) % 1.0
        noises = tf.random.stateless_normal(shape, seeds[2])
        if self.num_classes:
            drop = tf.random.stateless_uniform(count, seeds[3]) < DROPPED
            labels = tf.where(drop, tf.cast(self.num_classes, labels.dtype), labels)
        return self._add(images, labels, tf.cast(times, tf.float32), noises)

    def fixed(self, images: Any, labels: Any, positions: Any, draw: int = 0) -> tuple[Any, Any]:
        """A batch whose noise and times depend on the positions of the images `(B,)` and a number alone."""
        import tensorflow as tf

        times = (tf.cast(positions * DRAWS + draw, tf.float64) + 0.5) * GOLDEN % 1.0

        def noise_at(position: Any) -> Any:
            seed = tf.stack([position, tf.constant(draw, tf.int64)])
            return tf.random.stateless_normal(tf.shape(images)[1:], seed, alg="philox")

        noises = tf.map_fn(noise_at, positions, fn_output_signature=tf.float32)
        return self._add(images, labels, tf.cast(times, tf.float32), noises)

    def _add(self, images: Any, labels: Any, times: Any, noises: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        clean = schedule.scale_pixels(tf.cast(images, tf.float32))
        alpha, sigma = (part[:, None, None, None] for part in schedule.alpha_sigma(times, ops=tf.math))
        noisy = schedule.add_noise(clean, noises, alpha, sigma)
        inputs = {"images": schedule.to_pixels(tf.ensure_shape(noisy, images.shape)), "times": times}
        if self.num_classes:
            inputs["labels"] = tf.cast(labels, tf.int32)
        return inputs, tf.ensure_shape(schedule.velocity(clean, noises, alpha, sigma), images.shape)


class NoisyData(Prepared):
    """`Prepared` with noise that is fixed by the position where there is no seed."""

    prepare: AddNoise

    def once(self, batch_size: int) -> tf.data.Dataset:
        return map_with_positions(self.data, batch_size, self.prepare.fixed)


def map_with_positions(data: ImageData, batch_size: int, function: Callable[..., Any]) -> tf.data.Dataset:
    """What a function makes of each batch in order, of images, labels and the positions of the images."""
    import tensorflow as tf

    positions = tf.data.Dataset.range(data.num_examples).batch(batch_size)
    batches = tf.data.Dataset.zip(data.batches(batch_size), positions)
    return batches.map(
        lambda batch, numbers: function(*batch, numbers), num_parallel_calls=2, deterministic=True
    ).prefetch(2)
