"""Pictures: what a predictor says, drawn into the images, and how long an artifact's files take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from l2zoo.inference import preprocess
from l2zoo.inference.benchmark import Latency
from l2zoo.inference.results import (
    Classified,
    Detected,
    Estimated,
    Labelled,
    OverlappingMasks,
    Result,
    Segmented,
)
from l2zoo.reports import plot_style
from l2zoo.reports.numbers import three_digits
from l2zoo.tasks.plots.marks import Line, paint_mask
from l2zoo.tasks.plots.sheet import Panel, Sheet, save_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 24  # images shown
LARGEST = 640  # pixels of an image's longer side
MIN_SCORE = 0.3  # of a box that is drawn
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
    pixels = [_in_colour(one, i) for i, (one, _) in enumerate(shown)]
    side = min(LARGEST, max(max(one.shape[:2]) for one in pixels))
    panels, words = [], []
    for i, ((one, result), image) in enumerate(zip(shown, pixels, strict=True)):
        name = Path(one).name if isinstance(one, str | Path) else f"#{i}"
        panels += _panels(name, image, result, side)
        words.append(f"{name}: {describe(result)}.")
    pairs = isinstance(results[0], Segmented)
    classes = sorted({int(k) for _, one in shown for k in np.unique(_painted(one))} - {-1}) if pairs else []
    legend = [(results[0].class_names[k], k) for k in classes]
    about = "All images." if len(shown) == len(given) else f"The first {MOST} of {len(given)} images."
    if isinstance(results[0], Detected):
        about += f" Boxes with a score of {MIN_SCORE:g} or more."
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
    sure = [(n, s) for n, s in zip(result.names, result.scores, strict=True) if s >= MIN_SCORE]
    return ", ".join(f"{name} {score:.2f}" for name, score in sure) or "nothing"


def plot_latency(found: Sequence[Latency], path: str | Path) -> Path:
    """Draws p50 as a bar and p90 as the end of its whisker, for each file and number of threads.

    Args:
        found: What `measure_latency` gave.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.

    Raises:
        ValueError: Another ending.
    """
    words = "; ".join(f"{_name(one)}: {_figures(one)}, p90 {three_digits(one.p90_ms)} ms" for one in found)
    return plot_style.Plot("Latency of an artifact", f"{words}.", partial(_draw_latency, found)).save(path)


def _draw_latency(found: Sequence[Latency]) -> Figure:
    figure = plot_style.blank(width=7.5, height=1.1 + 0.42 * len(found), layout="constrained")
    axes = figure.add_subplot()
    rows = np.arange(len(found))[::-1]
    middles = np.array([one.p50_ms for one in found])
    whiskers = np.array([one.p90_ms - one.p50_ms for one in found])
    axes.barh(rows, middles, height=0.6, color="#8a93a3", edgecolor="black")
    axes.errorbar(middles, rows, xerr=[np.zeros(len(found)), whiskers], fmt="none", ecolor="black", capsize=4)
    for row, one in zip(rows, found, strict=True):
        beside: Any = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "size": 8}
        axes.annotate(_figures(one), (one.p90_ms, row), **beside)
    axes.set_yticks(rows, [_name(one) for one in found])
    axes.set_xlim(0, 2.1 * max(one.p90_ms for one in found))
    axes.set_xlabel("milliseconds for one image: bar p50, whisker p90")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _name(one: Latency) -> str:
    return f"{one.format}, {one.threads} thread{'s' * (one.threads > 1)}"


def _figures(one: Latency) -> str:
    metrics = "".join(f", {name} {value:.4f}" for name, value in one.metrics.items())
    return f"{three_digits(one.p50_ms)} ms, {one.bytes / 1000:,.0f} kB{metrics}"


def _panels(name: str, image: np.ndarray, result: Any, side: int) -> list[Panel]:
    if isinstance(result, Classified):
        answer = Line("", result.class_name, f" {result.probability:.0%}")
        return [Panel(_fit_square(image, side)[0], [Line("", name), answer])]
    if isinstance(result, Segmented):
        mask = _fit_square(paint_mask(_painted(result)), side, smooth=False)[0]
        return [Panel(_fit_square(image, side)[0], [Line("", name)]), Panel(mask, [Line("said")])]
    pixels, scale, corner = _fit_square(image, side)
    if isinstance(result, OverlappingMasks):
        layers = zip(result.class_names, np.moveaxis(result.masks, -1, 0), strict=True)
        painted = [
            (name, paint_mask(np.where(mask, number, -1))) for number, (name, mask) in enumerate(layers)
        ]
        masks = [Panel(_fit_square(one, side, smooth=False)[0], [Line(str(name))]) for name, one in painted]
        return [Panel(pixels, [Line("", name)]), *masks]
    if not isinstance(result, Detected):
        return [Panel(pixels, [Line("", name), Line("", describe(result))])]
    sure = result.scores >= MIN_SCORE
    boxes = result.boxes_xyxy[sure] * scale + np.tile(corner, 2)
    named = zip(np.array(result.names)[sure], result.scores[sure], strict=True)
    answers = [Line("", str(name), f" {score:.2f}") for name, score in named]
    return [Panel(pixels, [Line("", name)], found_xyxy=boxes, found=answers)]


def _painted(result: Segmented) -> np.ndarray:
    """The mask, -1 where the model did not look."""
    return np.where(result.mask < len(result.class_names), result.mask.astype(np.int64), -1)


def _in_colour(given: Any, number: int) -> np.ndarray:
    """`(H, W, 3)`, uint8, also of a grey array."""
    if isinstance(given, np.ndarray) and (given.ndim == 2 or given.shape[-1] == 1):
        given = np.repeat(given.reshape(*given.shape[:2], 1), 3, axis=2)
    found = preprocess.read_pixels(given, channels=3, where=f"Image {number} of `images`")
    return np.rint(found).astype(np.uint8)


def _fit_square(image: np.ndarray, side: int, *, smooth: bool = True) -> tuple[np.ndarray, float, np.ndarray]:
    """An image scaled into the middle of a white square, by how much, and where its corner `(x, y)` is."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = Image.Resampling.BILINEAR if smooth and scale < 1 else Image.Resampling.NEAREST
    canvas = Image.new("RGB", (side, side), "white")
    corner = (side - size[0]) // 2, (side - size[1]) // 2
    canvas.paste(Image.fromarray(image).resize(size, how), corner)
    return np.asarray(canvas), scale, np.array(corner)
