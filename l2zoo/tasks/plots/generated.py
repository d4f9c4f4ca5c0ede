"""Pictures and animations of what a model makes: images out of noise, and clips that it continues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from l2zoo.tasks.diffusion import sampling
from l2zoo.tasks.diffusion.keras_sampling import denoise_function
from l2zoo.tasks.plots.marks import Line
from l2zoo.tasks.plots.sheet import Panel, Sheet, save_sheet
from l2zoo.tasks.video.psnr_ssim import psnr
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.progress import progress_bar
from l2zoo.utils.storage.files import replacing
from l2zoo.utils.validation import whole_number

COLUMNS = 10  # images in a row
TIMES = 8  # of a clip that are shown, of which two are given
IMAGE_SIDE, FRAME_SIDE = 56, 112  # screen pixels at least of an image, and of a frame, in an animation
IMAGE_GAP, FRAME_GAP = 4, 6  # screen pixels between images, and around frames
GREY, WHITE = 128, 255
MOST_STEPS = 20  # in an animation: noise cannot be compressed
STANDS = 150  # milliseconds that a picture of an animation stands, but for the last one


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
    pixels = _to_rgb(images)
    names = [] if labels is None or not class_names else [class_names[label] for label in labels]
    captions = [[Line("", name)] for name in names] or [[] for _ in pixels]
    panels = [Panel(image, lines) for image, lines in zip(pixels, captions, strict=True)]
    words = [f"#{i}: to be {name}." for i, name in enumerate(names)]
    about = f"{len(pixels)} images, none of them chosen."
    return save_sheet(Sheet("Images drawn by the model", about, words, panels, columns), path)


@suggest_arguments
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
    path = _gif_path(path)
    denoise, image_shape, num_classes = denoise_function(model)
    if image_shape[-1] not in (1, 3):
        raise ValueError(f"`model` must draw images of 1 or 3 channels, got {image_shape[-1]}.")
    asked = sampling.broadcast_labels(labels, whole_number("n", n, at_least=1), num_classes)
    denoise = sampling.guide(denoise, guidance, num_classes=num_classes, labelled=labels is not None)
    images = sampling.initial_noise(seed, 0, n, image_shape)
    seen = [images]
    with progress_bar("drawing", unit="steps", shown=progress) as watch:
        for z, _ in sampling.ddim_steps(denoise, images, steps=steps, labels=asked):
            seen.append(z)
            if watch is not None:
                watch(len(seen) - 1, steps)
    shown = np.linspace(0, steps, min(MOST_STEPS, steps + 1)).round().astype(int)
    return _write_gif([tile(sampling.to_uint8_pixels(seen[i])) for i in shown], path, last=2000)


def picture_of_clips(clips: np.ndarray, continued: np.ndarray, path: str | Path) -> Path:
    """Clips over time, and below each the frames that a model continued it with.

    Args:
        clips: `(N, T, H, W, C)`, the truth, pixels in [0, 255], 1 or 3 channels.
        continued: `(N, L, H, W, C)`, in the place of the last L frames, with L below T.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    given, length = _frames_given(clips, continued)
    truth, found = _to_rgb(clips), _to_rgb(np.concatenate([clips[:, :given], continued], axis=1))
    future = np.linspace(given, given + length - 1, min(length, TIMES - 2)).round().astype(int)
    times = [*range(max(0, given - 2), given), *future]
    panels, words = [], []
    for number in range(len(clips)):
        panels += [Panel(truth[number, time], [Line(f"#{number} frame {time + 1}")]) for time in times]
        panels += [
            Panel(found[number, time], [Line("given" if time < given else "predicted")]) for time in times
        ]
        score = float(psnr(clips[number, given:], continued[number]).mean())
        words.append(f"#{number}: PSNR of the predicted frames {score:.1f} dB.")
    about = f"Above the truth; below it, what follows frame {given}, predicted from the frames up to it."
    title = "Clips and how the model continues them"
    return save_sheet(Sheet(title, about, words, panels, columns=len(times), group=len(times)), path)


@suggest_arguments
def rollout_gif(clips: np.ndarray, continued: np.ndarray, path: str | Path) -> Path:
    """An animation of clips, one a row: the truth on the left, what a model makes of it on the right.

    While frames are given both sides show them; a white border on the right says that they are predicted.

    Args:
        clips: `(N, T, H, W, C)`, the truth, pixels in [0, 255], 1 or 3 channels.
        continued: `(N, L, H, W, C)`, in the place of the last L frames, with L below T.
        path: Where to, a `.gif`.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or another ending.
    """
    path = _gif_path(path)
    given, _ = _frames_given(clips, continued)
    sides = [_round_pixels(clips), _round_pixels(np.concatenate([clips[:, :given], continued], axis=1))]
    frames = []
    for time in range(clips.shape[1]):
        borders = (GREY, GREY if time < given else WHITE)
        left, right = (_stack_frames(side[:, time], edge) for side, edge in zip(sides, borders, strict=True))
        frames.append(np.concatenate([left, right], axis=1))
    return _write_gif(frames, path, last=1000)


def tile(images: np.ndarray) -> np.ndarray:
    """Images `(N, H, W, C)`, uint8, in a square on white `(Y, X, C)`, each enlarged by a whole number."""
    enlarge = -(-IMAGE_SIDE // images.shape[1])
    images = images.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    down, right = height + IMAGE_GAP, width + IMAGE_GAP
    canvas = np.full((rows * down - IMAGE_GAP, columns * right - IMAGE_GAP, channels), WHITE, np.uint8)
    for number, image in enumerate(images):
        y, x = number // columns * down, number % columns * right
        canvas[y : y + height, x : x + width] = image
    return canvas


def _stack_frames(frames: np.ndarray, border: int) -> np.ndarray:
    """Frames `(N, H, W, C)` below each other, each enlarged by a whole number and with a border."""
    enlarge = -(-FRAME_SIDE // frames.shape[1])
    large = frames.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    around = (FRAME_GAP, FRAME_GAP)
    return np.concatenate(list(np.pad(large, ((0, 0), around, around, (0, 0)), constant_values=border)))


def _frames_given(clips: np.ndarray, continued: np.ndarray) -> tuple[int, int]:
    """How many frames are given, and how many are continued."""
    shapes = [np.shape(clips), np.shape(continued)]
    fit = all(len(shape) == 5 and shape[-1] in (1, 3) and min(shape) > 0 for shape in shapes)
    if not fit or shapes[0][:1] + shapes[0][2:] != shapes[1][:1] + shapes[1][2:]:
        raise ValueError(
            "`clips` and `continued` must have shapes (N, T, H, W, 1 or 3) and (N, L, H, W, 1 or 3), got "
            f"{shapes[0]} and {shapes[1]}."
        )
    if shapes[1][1] >= shapes[0][1]:
        raise ValueError(
            f"`continued` must have fewer frames than `clips`, as some are given, got {shapes[1][1]} and "
            f"{shapes[0][1]}."
        )
    return shapes[0][1] - shapes[1][1], shapes[1][1]


def _round_pixels(pixels: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def _to_rgb(images: np.ndarray) -> np.ndarray:
    """`(..., H, W, 3)`, uint8, of pixels `(..., H, W, 1 or 3)`."""
    return np.broadcast_to(_round_pixels(images), (*images.shape[:-1], 3))


def _gif_path(path: str | Path) -> Path:
    if Path(path).suffix.lower() != ".gif":
        raise ValueError(f"`path` must end in .gif, got path={str(path)!r}.")
    return Path(path)


def _write_gif(pictures: Sequence[np.ndarray], path: Path, *, last: int) -> Path:
    """Writes pictures `(Y, X, C)`, uint8, as an animation whose last one stands so many milliseconds."""
    first, *others = (Image.fromarray(picture.squeeze()) for picture in pictures)
    times = [STANDS] * len(others) + [last]
    with replacing(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=times, loop=0)
    return path
