"""How every picture is framed and saved: one style, and its description inside the file.

A picture goes into a file of its own, with a heading, or into a page, where the page has said all that
already and a second, narrow drawing serves phones.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from l2zoo.reports.numbers import format_strength
from l2zoo.utils.storage.files import replacing
from l2zoo.utils.validation import picture_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, BAND, BLUE, RED = "#1b1f24", "#6b7280", "#e6eaf1", "#1f5fa8", "#b3361b"
DOTTED: dict[str, Any] = {"color": GREY, "linestyle": (0, (1, 2)), "linewidth": 1.3}
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "l2zoo",  # the same search gives the same file
}
WIDE, NARROW = 8.2, 4.1  # inches; the narrow one is read on a phone
SMALL = 8.5  # of the legend, in points
_LINE = 0.19  # height of a line of the heading, in inches
_ROW = 0.22  # height of a row of the legend, in inches
_APART = 0.34  # between strength 0 and the logarithmic axis, in inches
_LABEL = 0.5  # that the label of a strength needs, in inches
_MARGINS = 2.0  # that usually remain at both sides of axes together, in inches
_WORDS = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}


@dataclass(frozen=True)
class Plot:
    """A picture before it is drawn.

    Args:
        title: What it shows.
        words: All that it shows, in words, for those who do not see it.
        draw: Draws it, with `width` in inches and `headed`, whether the heading stands in the picture.
    """

    title: str
    words: str
    draw: Callable[..., Figure]

    def save(self, path: str | Path) -> Path:
        """Draws into a file, which keeps title and words.

        Args:
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

        Raises:
            ValueError: The path ends in something else.
        """
        import matplotlib

        path = picture_path(path)
        kind = path.suffix.lower()
        undated: dict[str, None] = (
            {} if kind == ".png" else {"Date" if kind == ".svg" else "CreationDate": None}
        )
        about = {"Title": self.title, _WORDS[kind]: self.words, **undated}
        with matplotlib.rc_context(STYLE), replacing(path) as temporary:
            self.draw().savefig(temporary, dpi=160, metadata=about)
        return path

    def inline(self, name: str, *, width: float) -> str:
        """Draws an SVG element that stands in a page.

        Args:
            name: Begins every id in it, so that two pictures in a page do not take each other's parts.
            width: In inches.
        """
        import matplotlib

        buffer = io.StringIO()
        with matplotlib.rc_context(STYLE):
            self.draw(width=width, headed=False).savefig(buffer, format="svg", metadata={"Date": None})
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"\s*(<metadata>.*?</metadata>|<!--.*?-->)", "", text, flags=re.DOTALL)
        text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
        text = text.replace('<style type="text/css">*{', f'<style type="text/css">#{name} *{{', 1)
        head, rest = text.strip().split(">", 1)
        head = re.sub(r' (?:width|height)="[^"]*"', "", head)  # the page gives it, the viewBox the shape
        return head.replace("<svg", f'<svg id="{name}" aria-hidden="true" focusable="false"', 1) + ">" + rest


def blank(*, width: float, height: float, layout: Any = None) -> Figure:
    """An empty white figure, in inches, that no window shows; `layout` is matplotlib's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def frame(
    *,
    width: float,
    height: float,
    title: str = "",
    sentences: Iterable[str] = (),
    legend: Sequence[Artist] = (),
) -> Figure:
    """A white figure with its heading and its legend; what is drawn below them is laid out by matplotlib.

    Args:
        width: In inches.
        height: Of what is drawn below heading and legend, with its labels, in inches.
        title: Stands at the top; without one there are no sentences either.
        sentences: Below the title.
        legend: Its entries.
    """
    lines = textwrap.wrap(" ".join(filter(None, sentences)), 110) if title else []
    rows = legend_rows(legend, width=width)
    down = 0.60 + _LINE * len(lines) if title else 0.05
    top = down + _ROW * len(rows) + 0.1
    whole = top + height
    figure = blank(width=width, height=whole, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, height / whole), w_pad=0.1, h_pad=0.06)  # type: ignore[union-attr, call-arg]
    if title:
        figure.text(0.03, 1 - 0.16 / whole, title, size=14, weight="bold", va="top")
        figure.text(0.03, 1 - 0.52 / whole, "\n".join(lines), size=9.5, va="top", linespacing=1.35)
    for number, handles in enumerate(rows):
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.148 / width, 1 - (down + _ROW * number) / whole),
            ncols=len(handles),
            frameon=False,
            fontsize=SMALL,
            handlelength=2.0,
            columnspacing=1.8,
            handletextpad=0.6,
        )
    return figure


def legend_rows(handles: Sequence[Artist], *, width: float) -> list[list[Artist]]:
    """Breaks a legend into rows that fit into a width, in inches."""
    from matplotlib.textpath import TextPath

    rows: list[list[Artist]] = []
    used, room = 0.0, 72 * width - 18
    for handle in handles:
        text = TextPath((0, 0), str(handle.get_label()), size=SMALL).get_extents().width
        taken = text + SMALL * (2.0 + 0.6 + 1.8)  # its line, the space after that, and that to the next
        if not rows or used + taken > room:
            rows.append([])
            used = 0.0
        rows[-1].append(handle)
        used += taken
    return rows


def plain_axes(axes: Axes, *, grid: Literal["x", "y", "both"] = "y") -> None:
    """Leaves two spines, and a grid that lies behind everything."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=BAND, linewidth=0.8)
    axes.set_axisbelow(True)


def step(strengths: Sequence[float]) -> float:
    """The smallest factor between neighbours of a rising row of strengths; 10 for fewer than two.

    Example:
        >>> step([0.25, 0.5, 2.0])
        2.0
    """
    return min((after / before for before, after in itertools.pairwise(strengths)), default=10.0)


def strength_axis(axes: Axes, strengths: Iterable[float], *, margins: float = _MARGINS) -> float:
    """Makes the x axis logarithmic, with strength 0 apart at its left, before a break.

    Args:
        axes: Theirs; labels are thinned out to fit.
        strengths: All that are drawn.
        margins: About how many inches of the figure's width are not theirs.

    Returns:
        Where the logarithm ends: from here to 0 the axis is linear.
    """
    strengths = sorted(set(strengths))
    positive = [strength for strength in strengths if strength]
    if not positive:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], ["0"])
        return 1.0
    room = min(step(positive), 10.0) ** 0.8
    if len(positive) > 20:  # in a random search, two may all but coincide
        room = max(room, (positive[-1] / positive[0]) ** 0.03)
    low, high = positive[0] / room, positive[-1] * room
    inches = axes.get_figure(root=True).get_figwidth() - margins  # type: ignore[union-attr]
    decades = math.log10(high / low) * _APART / inches  # between 0 and the logarithm's end
    axes.set_xscale("symlog", linthresh=low, linscale=(1 - 1 / 10) * decades)  # so matplotlib counts them
    zero = strengths[0] == 0
    axes.set_xlim(-0.85 * low if zero else low, high)
    most = max(2, int(inches / _LABEL))
    if positive[-1] / positive[0] >= 99:
        powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        positive = [10.0**power for power in powers]
    ticks = [*([0.0] if zero else []), *positive[:: math.ceil(len(positive) / most)]]
    axes.set_xticks(ticks, map(format_strength, ticks))
    axes.set_xticks([], minor=True)
    if zero:
        _break(axes, 0.75 * low, low)
    return low


def with_gap(strengths: Sequence[float], *rows: Sequence[float]) -> np.ndarray:
    """Rising strengths and what stands at them `(1 + rows, N)`, so that no line goes from 0 over the break.

    Example:
        >>> with_gap([0.0, 0.1], [5.0, 6.0])[1]
        array([ 5., nan,  6.])
    """
    found = np.array([strengths, *rows], float)
    return np.insert(found, 1, np.nan, axis=1) if len(strengths) and strengths[0] == 0 else found


def _break(axes: Axes, start: float, end: float) -> None:
    """Interrupts the axis, and what goes across, between two strokes."""
    axes.axvspan(start, end, color="white", linewidth=0, zorder=1.2)
    place = axes.get_xaxis_transform()
    axes.plot([start, end], [0, 0], color="white", linewidth=2, transform=place, clip_on=False, zorder=3)
    stroke: dict[str, Any] = {"marker": [(-0.5, -1), (0.5, 1)], "markersize": 9, "color": GREY}
    axes.plot([start, end], [0, 0], **stroke, transform=place, clip_on=False, linestyle="none", zorder=3)
