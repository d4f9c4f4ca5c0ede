"""Pictures of an evaluation: which class was taken for which, and the images that a file gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.inference.judges import Case
from l2zoo.inference.plots import as_colour, describe, fit_square, panels_of
from l2zoo.inference.results import Classified, Detected, Labelled, Segmented
from l2zoo.reports import plot_style
from l2zoo.tasks.plots.marks import Line, paint_mask
from l2zoo.tasks.plots.sheet import Panel, Sheet, draw_sheet
from l2zoo.tasks.segmentation.overlap import UNLABELLED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST, SMALLEST = 640, 64  # pixels of an image's longer side
COUNTED = 25  # classes up to which each cell has its number
NAMED = 60  # classes up to which each row has its name
MISTAKES = 10  # of the most frequent ones, in words


def confusion(matrix: np.ndarray, class_names: Sequence[str], *, about: str) -> plot_style.Plot:
    """How often each true class was taken for each other: darker where it is a larger share of its row.

    Args:
        matrix: `(K, K)`, rows are the true classes.
        class_names: K names.
        about: What the images are.
    """
    wrong = matrix - np.diag(np.diagonal(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    pairs = [divmod(int(flat), len(matrix)) for flat in order if wrong.flat[flat]]
    most = "; ".join(f"{class_names[t]} taken for {class_names[s]} {matrix[t, s]:,} times" for t, s in pairs)
    right = f"Right: {int(np.trace(matrix)):,} of {int(matrix.sum()):,}."
    title = "Which class was taken for which"
    words = f"{title}. {about}. {right} Most often wrong: {most or 'never'}."
    return plot_style.Plot(
        title, words, partial(_draw_confusion, matrix, class_names, title, f"{about}. {right}")
    )


def worst(cases: Sequence[Case], class_names: Sequence[str], *, about: str) -> plot_style.Plot:
    """The images on which a file is furthest off, with what is true and what is said.

    Args:
        cases: These images.
        class_names: Of masks.
        about: Of how many images they are the worst.

    Raises:
        ValueError: There is none.
    """
    title = "Images that the file gets most wrong"
    if not cases:
        raise ValueError("There is no image that the file gets wrong, so there is nothing to draw.")
    side = max(SMALLEST, min(LARGEST, max(max(one.pixels.shape[:2]) for one in cases)))
    panels: list[Panel] = []
    for one in cases:
        panels += _case_panels(one, side)
    group = len(panels) // len(cases)
    columns = group * (1 + (len(cases) > 3)) if group > 1 else min(4, len(cases))
    about = f"The worst {len(cases)} of {about}."
    if any(one.wrong for one in panels):
        about += " ✕ and a dashed frame: wrong."
    if isinstance(cases[0].result, Detected):
        about += " Dashed: true. Solid: found."
    words = [f"{one.name}: true {one.true}, said {describe(one.result)}." for one in cases]
    sheet = Sheet(title, about, words, panels, columns, group=group, legend=_legend(cases, class_names))
    return plot_style.Plot(title, " ".join([f"{title}.", about, *words]), lambda: draw_sheet(sheet))


def _case_panels(case: Case, side: int) -> list[Panel]:
    """The panels that `Predictor.draw` makes of an image, with what is true in them."""
    name = case.name.replace("\\", "/").rpartition("/")[2]
    pixels = as_colour(case.pixels, where=name)
    first, *others = panels_of(name, pixels, case.result, side)
    true = Line("true: ", case.true)
    if not isinstance(case.target, np.ndarray) or case.target.ndim != 2:
        boxes = _true_boxes(case, pixels, side)
        above = [*first.above, true]
        drawn: Any = {"truth_xyxy": boxes, "found_xyxy": first.found_xyxy, "found": first.found}
        return [Panel(first.pixels, above, wrong=_is_wrong(case), **drawn)]
    mask = np.where(case.target == UNLABELLED, -1, case.target).astype(np.int64)
    painted = fit_square(paint_mask(mask), side, smooth=False)[0]
    return [first, Panel(painted, [Line("true")]), *others]


def _is_wrong(case: Case) -> bool:
    """Whether other classes are said than are true, where an image has classes."""
    if isinstance(case.result, Classified):
        return case.result.class_name != case.true
    return isinstance(case.result, Labelled) and (", ".join(case.result.labels) or "none") != case.true


def _true_boxes(case: Case, pixels: np.ndarray, side: int) -> Any:
    if not isinstance(case.target, dict):
        return ()
    _, scale, corner = fit_square(pixels, side)
    there = case.target["labels"] >= 0
    return case.target["boxes_xyxy"][there] * scale + np.tile(corner, 2)


def _legend(cases: Sequence[Case], class_names: Sequence[str]) -> list[tuple[str, int]]:
    seen: set[int] = set()
    for one in cases:
        if isinstance(one.result, Segmented):
            seen |= {*np.unique(one.target).tolist(), *np.unique(one.result.mask).tolist()}
    named = [(class_names[k], k) for k in sorted(seen) if k < len(class_names)]
    return named + ([("not labelled", -1)] if UNLABELLED in seen else [])


def _draw_confusion(matrix: np.ndarray, names: Sequence[str], title: str, sentence: str) -> Figure:
    count = len(names)
    side = float(np.clip(0.34 * count, 2.4, 7.0))
    longest = 0.085 * max(len(name[:24]) for name in names)
    figure = plot_style.frame(
        width=max(side + longest + 1.2, 4.6), height=side + longest + 0.6, title=title,
        sentences=[sentence],
    )  # fmt: skip
    axes = figure.add_subplot()
    sums = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, sums, out=np.zeros(matrix.shape), where=sums > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(count) if count <= NAMED else []
    shown = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
    axes.set_xticks(ticks, [shown[i] for i in ticks], rotation=90, size=8, parse_math=False)
    axes.set_yticks(ticks, [shown[i] for i in ticks], size=8, parse_math=False)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    if count <= COUNTED:
        for true, said in zip(*np.nonzero(matrix), strict=True):
            ink = "white" if shares[true, said] > 0.5 else plot_style.INK
            axes.text(said, true, f"{matrix[true, said]:,}", size=7.5, color=ink, ha="center", va="center")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
