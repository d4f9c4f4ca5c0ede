"""New images by a Keras model: the loop of `l2zoo.tasks.diffusion.sampling` around the compiled model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from l2zoo.tasks.diffusion import sampling
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.progress import progress_bar


@suggest_arguments
def sample(
    model: keras.Model,
    n: int,
    *,
    steps: int = 50,
    labels: int | Sequence[int] | np.ndarray | None = None,
    guidance: float = 1.0,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = True,
) -> np.ndarray:
    """Draws new images.

    Args:
        model: A denoiser, such as `build_diffusion` makes.
        n: How many images, at least 1.
        steps: How often the noise of each is looked at, at least 1. More takes longer; from 50 on, little
            changes.
        labels: The class of all, or of each `(n,)`; None for any.
        guidance: 1 is as the model has learnt it; 2 or 3 makes images more like their class and like each
            other.
        seed: Decides the images. Image `i` does not depend on `n` or `batch_size`, but for rounding.
        batch_size: Images that are drawn together.
        progress: Whether a bar is shown, on a terminal.

    Returns:
        Images `(n, H, W, C)`, uint8 in [0, 255].

    Raises:
        TypeError: A number is none; the model is no denoiser.
        ValueError: A number out of range; labels for a model without classes, or not in [0, K); guidance
            without labels.

    References:
        Song, Meng, Ermon 2021, Denoising Diffusion Implicit Models; Ho and Salimans 2022, Classifier-Free
        Diffusion Guidance.
    """
    denoise, image_shape, num_classes = denoise_function(model)
    with progress_bar("drawing", unit="steps", shown=progress) as watch:
        return sampling.draw(
            denoise, image_shape, n, steps=steps, labels=labels, num_classes=num_classes,
            guidance=guidance, seed=seed, batch_size=batch_size, watch=watch,
        )  # fmt: skip


def denoise_function(model: keras.Model) -> tuple[sampling.Denoise, tuple[int, ...], int | None]:
    """What `l2zoo.tasks.diffusion.sampling` needs of a model.

    Returns:
        The model as a function of NumPy arrays, compiled when first called; `(H, W, C)`; and K, or None.

    Raises:
        TypeError: The model has other inputs.
    """
    image_shape, num_classes = denoiser_interface(model)
    call = _compile(model)

    def denoise(images: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        batch = {"images": images, "times": times}
        return call(batch if num_classes is None else {**batch, "labels": labels})

    return denoise, image_shape, num_classes


def denoiser_interface(model: keras.Model) -> tuple[tuple[int, ...], int | None]:
    """The shape of a denoiser's images, `(H, W, C)`, and K, the number of its classes; None without classes.

    Raises:
        TypeError: The model has other inputs, or no layer `label` that embeds the classes.
    """
    inputs = getattr(model, "input", None)
    if not isinstance(inputs, dict) or set(inputs) - {"labels"} != {"images", "times"}:
        found = sorted(inputs) if isinstance(inputs, dict) else type(model).__name__
        raise TypeError(
            "`model` must be a denoiser with the inputs images, times and perhaps labels, as build_diffusion "
            f"makes one, got {found}."
        )
    image_shape = tuple(inputs["images"].shape[1:])
    if "labels" not in inputs:
        return image_shape, None
    labels = [layer for layer in model.layers if layer.name == "label"]
    if not labels or not isinstance(labels[0], keras.layers.Embedding):
        raise TypeError(
            "`model` must embed its classes in a layer called 'label', as build_diffusion makes it, got "
            f"{model.name!r} without one."
        )
    return image_shape, labels[0].input_dim - 1  # the last row is "any class"


def _compile(model: keras.Model) -> Callable[[dict[str, Any]], np.ndarray]:
    """The model as a function of arrays that is traced once, whatever the batch size."""
    if keras.backend.backend() != "tensorflow":
        return lambda batch: np.asarray(model.predict_on_batch(batch))
    import tensorflow as tf

    specs = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in model.input.items()}
    graph = tf.function(lambda batch: model(batch, training=False), input_signature=[specs], autograph=False)
    return lambda batch: graph({name: tf.constant(part) for name, part in batch.items()}).numpy()
