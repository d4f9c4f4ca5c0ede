"""Pictures of drawn images: a grid of them, and how they come out of the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from l2zoo.tasks.diffusion import sampling, schedule
from l2zoo.tasks.diffusion.keras_sampling import denoiser
from l2zoo.tasks.plots import sheet
from l2zoo.tasks.plots.lettering import Line
from l2zoo.tasks.plots.sheet import Panel, Sheet
from l2zoo.utils.files import replacing
from l2zoo.utils.progress import progress_bar
from l2zoo.utils.validation import whole_number

COLUMNS = 10
SIDE = 56  # screen pixels that an image gets in an animation, at least
GAP = 4  # between images
FRAMES = 20  # of an animation, at most: noise cannot be compressed
FRAME, LAST = 150, 2000  # milliseconds that a frame stands, and the last one


def picture_of_samples(
    images: np.ndarray,
    path: str | Path,
    *,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    columns: int = COLUMNS,
) -> Path:
    """Drawn images in a grid, with the class that each was asked to be.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        labels: `(N,)`.
        class_names: K names.
        columns: Images in a row.
    """
    pixels = np.broadcast_to(sampling.as_pixels(schedule.scaled(images)), (*images.shape[:3], 3))
    names = [] if labels is None or not class_names else [class_names[label] for label in labels]
    captions = [[Line("", name)] for name in names] or [[] for _ in pixels]
    panels = [Panel(image, lines) for image, lines in zip(pixels, captions, strict=True)]
    words = [f"#{i}: to be {name}." for i, name in enumerate(names)]
    about = f"{len(pixels)} images, none of them chosen."
    return sheet.save(Sheet("Images drawn by the model", about, words, panels, columns), path)


def denoising_gif(
    model: keras.Model,
    path: str | Path,
    *,
    n: int = 16,
    steps: int = 50,
    labels: int | Sequence[int] | np.ndarray | None = None,
    guidance: float = 1.0,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Shows how images come out of the noise: those that `sample` draws with the same arguments.

    Args:
        model: A denoiser.
        path: Where to, a `.gif`.
        n: How many images, at least 1, in a square.
        steps: As in `sample`.
        labels: As in `sample`.
        guidance: As in `sample`.
        seed: As in `sample`.
        progress: As in `sample`.

    Returns:
        The path.

    Raises:
        TypeError: As in `sample`.
        ValueError: As in `sample`; another ending; images of other than 1 or 3 channels.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ValueError(f"`path` must end in .gif, got path={str(path)!r}.")
    denoise, image_shape, num_classes = denoiser(model)
    if image_shape[-1] not in (1, 3):
        raise ValueError(f"`model` must draw images of 1 or 3 channels, got {image_shape[-1]}.")
    asked = sampling.checked_labels(labels, whole_number("n", n, at_least=1), num_classes)
    denoise = sampling.guided(denoise, guidance, num_classes=num_classes, labelled=labels is not None)
    images = sampling.first_noise(seed, 0, n, image_shape)
    seen = [images]
    with progress_bar("drawing", unit="steps", shown=progress) as watch:
        for z, _ in sampling.denoised(denoise, images, steps=steps, labels=asked):
            seen.append(z)
            if watch is not None:
                watch(len(seen) - 1, steps)
    shown = np.linspace(0, steps, min(FRAMES, steps + 1)).round().astype(int)
    frames = [Image.fromarray(tiled(sampling.as_pixels(seen[i])).squeeze()) for i in shown]
    with replacing(path) as temporary:
        times = [FRAME] * (len(frames) - 1) + [LAST]
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=times, loop=0)
    return path


def tiled(images: np.ndarray) -> np.ndarray:
    """Images `(N, H, W, C)`, uint8, in a square on white `(Y, X, C)`, each enlarged by a whole number."""
    enlarge = -(-SIDE // images.shape[1])
    images = images.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    canvas = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), 255, np.uint8)
    for number, image in enumerate(images):
        y, x = number // columns * (height + GAP), number % columns * (width + GAP)
        canvas[y : y + height, x : x + width] = image
    return canvas
