"""A sheet of panels in a grid, with a heading and a legend; the same data give the same file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from l2zoo.reports import plot_style
from l2zoo.reports.plot_style import INK
from l2zoo.tasks.plots.marks import (
    CAPTION,
    POINTS,
    Line,
    draw_answers,
    draw_boxes,
    fit_text,
    paint_mask,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, MARGIN, HEADING, LARGEST = 8.2, 0.25, 0.82, 2.6  # inches; the last is the widest an image gets
NEAR, APART = 0.06, 0.22  # inches between panels of one image, and of two
LINE, ROW = 0.17, 0.25  # inches: height of a line of text, and of a row of the legend
NAME = 2.2  # inches that a name may take in the legend
SWATCH = (34, 17)  # width and height of a sample in the legend, in hundredths of an inch
PALE = "#b6bcc6"


@dataclass(frozen=True)
class Panel:
    """One image of a sheet: `(H, W, 3)`, uint8, with what stands above it and what is drawn into it.

    Boxes are `(N, 4)`, in pixels; `found` are the answers beside those found.
    """

    pixels: np.ndarray
    above: Sequence[Line]
    wrong: bool = False
    truth_xyxy: Sequence[np.ndarray] = ()
    found_xyxy: Sequence[np.ndarray] = ()
    found: Sequence[Line] = ()


@dataclass(frozen=True)
class Sheet:
    """A picture: its panels, all of one size, so many in a row, those of one image in a group.

    The legend has names and classes; `words` say what the panels show, for those who cannot see them.
    """

    title: str
    about: str
    words: Sequence[str]
    panels: Sequence[Panel]
    columns: int
    group: int = 1
    legend: Sequence[tuple[str, int]] = ()


def save_sheet(sheet: Sheet, path: str | Path) -> Path:
    """Writes a sheet with its description in words; the ending says how: `.png`, `.svg` or `.pdf`."""
    words = " ".join([f"{sheet.title}.", sheet.about, *sheet.words])
    return plot_style.Plot(sheet.title, words, lambda: draw_sheet(sheet)).save(path)


def draw_sheet(sheet: Sheet) -> Figure:
    """The figure of a sheet: its axes are the panels in their order, then those of the legend."""
    columns = min(sheet.columns, len(sheet.panels))
    groups = columns // sheet.group
    gaps = (groups - 1) * APART + groups * (sheet.group - 1) * NEAR
    cell = min((WIDTH - 2 * MARGIN - gaps) / columns, LARGEST)
    tall, wide = sheet.panels[0].pixels.shape[:2]
    high = LINE * len(sheet.panels[0].above) + 0.06 + cell * tall / wide  # of a panel with what is above it
    rows = math.ceil(len(sheet.panels) / columns)
    legend = _legend_rows(sheet.legend)
    height = HEADING + rows * high + (rows - 1) * APART / 2 + MARGIN + ROW * len(legend)
    figure = plot_style.blank(width=WIDTH, height=height)
    figure.text(MARGIN / WIDTH, 1 - 0.18 / height, sheet.title, size=14, weight="bold", va="top")
    figure.text(MARGIN / WIDTH, 1 - 0.54 / height, sheet.about, size=9.5, va="top")
    for number, panel in enumerate(sheet.panels):
        row, column = divmod(number, columns)
        x = MARGIN + column * (cell + NEAR) + column // sheet.group * (APART - NEAR)
        y = height - HEADING - row * (high + APART / 2) - high
        axes = figure.add_axes((x / WIDTH, y / height, cell / WIDTH, cell * tall / wide / height))
        _draw_panel(axes, panel, POINTS * cell)
    _draw_legend(figure, legend)
    return figure


def _draw_panel(axes: Axes, panel: Panel, points: float) -> None:
    """Draws a panel, so many points wide; the pixel of column c fills `[c, c + 1]` of the x axis."""
    shape = panel.pixels.shape[:2]
    axes.imshow(panel.pixels, extent=(0, shape[1], shape[0], 0), aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(edgecolor=PALE, linewidth=0.8)
    if panel.wrong:
        axes.spines[:].set(edgecolor=INK, linewidth=3, linestyle=(0, (2.5, 1.5)), capstyle="butt")
        cross = {"facecolor": "white", "edgecolor": INK, "linewidth": 0.8, "pad": 2}
        axes.text(0.955, 0.945, "✕", size=11, ha="right", va="top", transform=axes.transAxes, bbox=cross)
    for number, line in enumerate(reversed(panel.above)):
        axes.annotate(
            fit_text(line, points),
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 4 + POINTS * LINE * number),
            textcoords="offset points",
            size=CAPTION,
            weight="bold" if line.bold else "normal",
            parse_math=False,
        )
    draw_boxes(axes, panel.truth_xyxy, "truth")
    draw_boxes(axes, panel.found_xyxy, "found")
    draw_answers(axes, panel.found_xyxy, panel.found, shape=shape, points=points)


def _legend_rows(entries: Sequence[tuple[str, int]]) -> list[list[tuple[float, str, int]]]:
    """Rows of `(x in inches, name, class)` that fit into the picture."""
    rows: list[list[tuple[float, str, int]]] = []
    x = math.inf
    for entry, label in entries:
        name = fit_text(Line("", entry), POINTS * NAME)
        taken = SWATCH[0] / 100 + 0.08 + text_width(name) / POINTS
        if x + taken > WIDTH - MARGIN:
            rows.append([])
            x = MARGIN
        rows[-1].append((x, name, label))
        x += taken + 0.2
    return rows


def _draw_legend(figure: Figure, rows: Sequence[Sequence[tuple[float, str, int]]]) -> None:
    """Draws the rows at the bottom, in axes whose unit is an inch."""
    if not rows:
        return
    height = 0.12 + ROW * len(rows)
    axes = figure.add_axes((0, 0, 1, height / figure.get_figheight()), gid="legend")
    wide, high = SWATCH[0] / 100, SWATCH[1] / 100
    for number, row in enumerate(reversed(rows)):
        y = 0.12 + ROW * number
        for x, name, label in row:
            swatch = paint_mask(np.full(SWATCH[::-1], label), repeats=5)
            axes.imshow(swatch, extent=(x, x + wide, y, y + high))
            axes.text(x + wide + 0.08, y + high / 2, name, size=CAPTION, va="center", parse_math=False)
    axes.set(xlim=(0, WIDTH), ylim=(0, height), aspect="auto")
    axes.axis("off")
