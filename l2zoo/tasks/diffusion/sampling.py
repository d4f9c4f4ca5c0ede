"""New images out of noise, with any denoiser: a Keras model, an exported file, a formula.

Only NumPy is needed here, and all randomness is NumPy's: a seed gives the same noise everywhere, and image
`i` of a seed does not depend on how many are asked for, or in which batches, but for the rounding of a
denoiser that computes batches of other sizes in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from l2zoo.tasks.diffusion import schedule
from l2zoo.utils.validation import check_number, whole_number

Denoise = Callable[[np.ndarray, np.ndarray, "np.ndarray | None"], np.ndarray]
"""Noisy images `(B, H, W, C)` in pixels, times `(B,)`, labels `(B,)` or None to velocities like images."""


def draw(
    denoise: Denoise,
    image_shape: Sequence[int],
    n: int,
    *,
    steps: int = 50,
    labels: int | Sequence[int] | np.ndarray | None = None,
    num_classes: int | None = None,
    guidance: float = 1.0,
    seed: int = 0,
    batch_size: int = 64,
    watch: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Draws images: the loop behind `l2zoo.tasks.diffusion.keras_sampling.sample`.

    Args:
        denoise: What says the velocity.
        image_shape: `(H, W, C)`.
        n: How many images, at least 1.
        steps: Of each image, at least 1.
        labels: The class of all, or of each `(n,)`, in [0, K); None for any.
        num_classes: K, None if the denoiser knows no classes.
        guidance: How much more like its class than like any an image gets; 1 is as the model has it.
        seed: Decides the noise to begin with, and so the images.
        batch_size: Images that are drawn together.
        watch: Is told after every step how many were done, over all batches, and how many there are.

    Returns:
        Images `(n, H, W, C)`, uint8 in [0, 255].

    Raises:
        TypeError: A number is none.
        ValueError: A number out of range; labels without classes, of another length, or not in [0, K);
            guidance without labels.

    Example:
        >>> silent = lambda images, times, labels: np.zeros_like(images)
        >>> draw(silent, (8, 8, 1), 3, steps=4).shape
        (3, 8, 8, 1)
    """
    whole_number("n", n, at_least=1)
    whole_number("batch_size", batch_size, at_least=1)
    asked = broadcast_labels(labels, n, num_classes)
    chosen = guide(denoise, guidance, num_classes=num_classes, labelled=labels is not None)
    starts, found, done = range(0, n, batch_size), [], 0
    for start in starts:
        stop = min(start + batch_size, n)
        images = initial_noise(seed, start, stop, image_shape)
        mine = None if asked is None else asked[start:stop]
        for step in ddim_steps(chosen, images, steps=steps, labels=mine):
            images, done = step[0], done + 1
            if watch is not None:
                watch(done, len(starts) * steps)
        found.append(to_uint8_pixels(images))
    return np.concatenate(found)


def ddim_steps(
    denoise: Denoise, images: np.ndarray, *, steps: int, labels: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Takes the noise out of images, a step after the other, at evenly spaced times from 1 to 0.

    Args:
        denoise: What says the velocity.
        images: Noise to begin with `(B, H, W, C)`, of mean 0 and variance 1.
        steps: At least 1.
        labels: For `denoise`, `(B,)`.

    Yields:
        After each step, the images with the noise that is left, and what they seem to be without it, both
        `(B, H, W, C)` where [-1, 1] are the pixels' [0, 255]. After the last step, both are the same.

    References:
        Song, Meng, Ermon 2021, Denoising Diffusion Implicit Models, eq. 12 with eta = 0. Clean images are
        clipped to [-1, 1], and the noise is what is then left.
    """
    whole_number("steps", steps, at_least=1)
    times = np.linspace(1.0, 0.0, steps + 1)
    parts = [(float(alpha), float(sigma)) for alpha, sigma in zip(*schedule.alpha_sigma(times), strict=True)]
    z = images.astype(np.float32)
    for time, here, there in zip(times, parts, parts[1:], strict=False):
        at = np.full(len(z), time, np.float32)
        v = np.asarray(denoise(schedule.to_pixels(z), at, labels), np.float32)
        clean = np.clip(schedule.clean_image(z, v, *here), -1.0, 1.0)
        z = schedule.add_noise(clean, schedule.remaining_noise(z, clean, *here), *there)
        yield z, clean


def guide(
    denoise: Denoise, guidance: float, *, num_classes: int | None = None, labelled: bool = True
) -> Denoise:
    """A denoiser that goes further from "any" in the direction of a class: `any + guidance * (class - any)`.

    Args:
        denoise: One for which label K means any class.
        guidance: 0 forgets the class, 1 gives `denoise` itself, more exaggerates.
        num_classes: K.
        labelled: Whether there will be labels.

    Raises:
        TypeError: `guidance` is not a number.
        ValueError: It is negative, or not 1 where there are no labels.

    References:
        Ho and Salimans 2022, Classifier-Free Diffusion Guidance, eq. 6; their `w` is `guidance - 1`.
    """
    weight = check_number("guidance", guidance)
    if weight == 1.0:
        return denoise
    if num_classes is None or not labelled:
        raise ValueError(f"`guidance` must be 1 without `labels`, got guidance={guidance}.")
    any_class = num_classes

    def both(images: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        known = np.asarray(labels)
        twice = np.concatenate([known, np.full_like(known, any_class)])
        v = denoise(np.concatenate([images, images]), np.concatenate([times, times]), twice)
        of_class, of_any = np.split(np.asarray(v), 2)
        return of_any + np.float32(weight) * (of_class - of_any)

    return both


def broadcast_labels(
    labels: int | Sequence[int] | np.ndarray | None, n: int, num_classes: int | None
) -> np.ndarray | None:
    """A label for each of `n` images, `(n,)`, int32: K where any class will do; None without classes."""
    if num_classes is None:
        if labels is not None:
            raise ValueError("`labels` must be None for a model without classes. Build it with num_classes=.")
        return None
    if labels is None:
        return np.full(n, num_classes, np.int32)
    try:
        given = np.asarray(labels)
    except ValueError as error:  # NumPy's word for lists of different lengths
        raise ValueError(f"`labels` must be one number, or n={n} of them, got labels={labels!r}.") from error
    if given.dtype.kind not in "iu":
        raise TypeError(f"`labels` must be whole numbers, got labels of type {given.dtype}.")
    if given.shape not in ((), (n,)):
        raise ValueError(f"`labels` must be one number, or n={n} of them, got shape={given.shape}.")
    wrong = given[(given < 0) | (given >= num_classes)]
    if wrong.size:
        raise ValueError(f"`labels` must be in [0, {num_classes}), got {wrong.flat[0]}.")
    return np.broadcast_to(given, (n,)).astype(np.int32)


def initial_noise(seed: int, start: int, stop: int, image_shape: Sequence[int]) -> np.ndarray:
    """The noise that images `start` to `stop` of a seed begin with, `(stop - start, H, W, C)`, float32."""
    whole_number("seed", seed, at_least=0)
    images = [
        np.random.default_rng([seed, i]).standard_normal(tuple(image_shape)) for i in range(start, stop)
    ]
    return np.stack(images).astype(np.float32)


def to_uint8_pixels(numbers: np.ndarray) -> np.ndarray:
    """Numbers of which [-1, 1] can be seen as pixels, uint8."""
    return np.rint(schedule.to_pixels(np.clip(numbers, -1.0, 1.0))).astype(np.uint8)
