"""Pictures of what a predictor says, drawn into the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from l2zoo.inference import preprocess
from l2zoo.inference.results import (
    Classified,
    Detected,
    Estimated,
    Labelled,
    OverlappingMasks,
    Result,
    Segmented,
)
from l2zoo.tasks.plots.marks import Line, paint_mask
from l2zoo.tasks.plots.sheet import Panel, Sheet, save_sheet

MOST = 24  # images shown
LARGEST = 640  # pixels of an image's longer side
SHOWN_VALUES = 4  # of an image, in words


def plot_results(images: Any, results: Sequence[Any], path: str | Path) -> Path:
    """Draws images with what a predictor says of them: the class, the mask beside, or boxes.

    Args:
        images: What `Predictor.predict` was given.
        results: What it answered.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.

    Raises:
        ValueError: Not as many results as images, or another ending.
    """
    given = preprocess.list_images(images)
    if len(given) != len(results):
        raise ValueError(f"`results` must be of {len(given)} images, got {len(results)} of them.")
    shown = list(zip(given, results, strict=True))[:MOST]
    pixels = [as_colour(one, where=f"Image {i} of `images`") for i, (one, _) in enumerate(shown)]
    side = min(LARGEST, max(max(one.shape[:2]) for one in pixels))
    panels, words = [], []
    for i, ((one, result), image) in enumerate(zip(shown, pixels, strict=True)):
        name = Path(one).name if isinstance(one, str | Path) else f"#{i}"
        panels += panels_of(name, image, result, side)
        words.append(f"{name}: {describe(result)}.")
    pairs = isinstance(results[0], Segmented)
    classes = sorted({int(k) for _, one in shown for k in np.unique(_painted(one))} - {-1}) if pairs else []
    legend = [(results[0].class_names[k], k) for k in classes]
    about = "All images." if len(shown) == len(given) else f"The first {MOST} of {len(given)} images."
    if isinstance(results[0], Detected):
        about += f" Boxes with a score of {results[0].min_score:g} or more."
    group = len(panels) // len(shown)
    columns = group if group > 2 else min(4, group * len(shown))
    title = "Images and what the model says"
    return save_sheet(Sheet(title, about, words, panels, columns, group=group, legend=legend), path)


def describe(result: Result) -> str:
    """A result in a few words.

    Example:
        >>> describe(Classified(np.array([0.25, 0.75]), ["cat", "dog"]))
        'dog 75%'
    """
    if isinstance(result, Classified):
        return f"{result.class_name} {result.probability:.0%}"
    if isinstance(result, Labelled):
        every, there = result.top(len(result.class_names)), result.labels
        return ", ".join(f"{name} {share:.0%}" for name, share in every if name in there) or "none"
    if isinstance(result, Estimated):
        few = [f"{value:.4g}" for value in result.values.ravel()[:SHOWN_VALUES].tolist()]
        return ", ".join(few) + (", ..." if result.values.size > SHOWN_VALUES else "")
    if isinstance(result, Segmented | OverlappingMasks):
        shares = sorted(result.shares.items(), key=lambda pair: -pair[1])
        return ", ".join(f"{name} {share:.0%}" for name, share in shares)
    assert isinstance(result, Detected)
    return ", ".join(f"{name} {score:.2f}" for name, score in result.top(len(result.scores))) or "nothing"


def panels_of(name: str, image: np.ndarray, result: Any, side: int) -> list[Panel]:
    """The panels of an image and what is said of it; masks stand beside it in panels of their own."""
    if isinstance(result, Classified):
        answer = Line("", result.class_name, f" {result.probability:.0%}")
        return [Panel(fit_square(image, side)[0], [Line("", name), answer])]
    if isinstance(result, Segmented):
        mask = fit_square(paint_mask(_painted(result)), side, smooth=False)[0]
        return [Panel(fit_square(image, side)[0], [Line("", name)]), Panel(mask, [Line("said")])]
    pixels, scale, corner = fit_square(image, side)
    if isinstance(result, OverlappingMasks):
        layers = zip(result.class_names, np.moveaxis(result.masks, -1, 0), strict=True)
        painted = [
            (name, paint_mask(np.where(mask, number, -1))) for number, (name, mask) in enumerate(layers)
        ]
        masks = [Panel(fit_square(one, side, smooth=False)[0], [Line(str(name))]) for name, one in painted]
        return [Panel(pixels, [Line("", name)]), *masks]
    if not isinstance(result, Detected):
        return [Panel(pixels, [Line("", name), Line("", describe(result))])]
    boxes = result.boxes_xyxy * scale + np.tile(corner, 2)
    answers = [Line("", str(name), f" {score:.2f}") for name, score in result.top(len(boxes))]
    return [Panel(pixels, [Line("", name)], found_xyxy=boxes, found=answers)]


def _painted(result: Segmented) -> np.ndarray:
    """The mask, -1 where the model did not look."""
    return np.where(result.mask < len(result.class_names), result.mask.astype(np.int64), -1)


def as_colour(given: Any, *, where: str) -> np.ndarray:
    """`(H, W, 3)`, uint8, also of a grey array; `where` is what to call it in messages."""
    if isinstance(given, np.ndarray) and (given.ndim == 2 or given.shape[-1] == 1):
        given = np.repeat(given.reshape(*given.shape[:2], 1), 3, axis=2)
    found = preprocess.read_pixels(given, channels=3, where=where)
    return np.rint(found).astype(np.uint8)


def fit_square(image: np.ndarray, side: int, *, smooth: bool = True) -> tuple[np.ndarray, float, np.ndarray]:
    """An image scaled into the middle of a white square, by how much, and where its corner `(x, y)` is."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = Image.Resampling.BILINEAR if smooth and scale < 1 else Image.Resampling.NEAREST
    canvas = Image.new("RGB", (side, side), "white")
    corner = (side - size[0]) // 2, (side - size[1]) // 2
    canvas.paste(Image.fromarray(image).resize(size, how), corner)
    return np.asarray(canvas), scale, np.array(corner)
