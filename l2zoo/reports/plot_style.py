"""How every picture is laid out and saved: one style, and its description inside the file.

A picture goes into a file of its own, with a heading, or into a page, where the page has said all that
already and a second, narrow drawing serves phones.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.reports.numbers import format_strength
from l2zoo.utils.files import replacing
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
LINE = 0.19  # height of a line of the heading, in inches
ROW = 0.22  # height of a row of the legend, in inches
SMALL = 8.5  # of the legend, in points
LABEL = 0.5  # inches that the label of a strength needs
_WORDS = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}


def blank(*, width: float, height: float) -> Figure:
    """An empty white figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def wrapped(*sentences: str) -> list[str]:
    """The lines below the title of a wide picture."""
    return textwrap.wrap(" ".join(filter(None, sentences)), 110)


def heading(figure: Figure, title: str, lines: Sequence[str]) -> None:
    """Writes the title and the lines below it at the top; they take `0.56 + LINE * len(lines)` inches."""
    height = figure.get_figheight()
    figure.text(0.03, 1 - 0.16 / height, title, size=14, weight="bold", va="top")
    figure.text(0.03, 1 - 0.52 / height, "\n".join(lines), size=9.5, va="top", linespacing=1.35)


def legend_rows(handles: Sequence[Artist], *, width: float) -> list[list[Artist]]:
    """Breaks a legend into rows that fit into a width, in inches."""
    from matplotlib.textpath import TextPath

    rows: list[list[Artist]] = [[]]
    used, room = 0.0, 72 * width - 18
    for handle in handles:
        text = TextPath((0, 0), str(handle.get_label()), size=SMALL).get_extents().width
        taken = text + SMALL * (2.0 + 0.6 + 1.8)  # its line, the space after that, and that to the next
        if rows[-1] and used + taken > room:
            rows.append([])
            used = 0.0
        rows[-1].append(handle)
        used += taken
    return rows


def legend(figure: Figure, rows: Sequence[Sequence[Artist]], *, down: float) -> None:
    """Draws a legend, `down` inches from the top; every row takes `ROW` inches."""
    width, height = figure.get_size_inches()
    for number, handles in enumerate(rows):
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.148 / width, 1 - (down + ROW * number) / height),
            ncols=len(handles),
            frameon=False,
            fontsize=SMALL,
            handlelength=2.0,
            columnspacing=1.8,
            handletextpad=0.6,
        )


def save(draw: Callable[[], Figure], *, path: str | Path, title: str, words: str) -> Path:
    """Draws a picture into a file.

    Args:
        draw: Makes the figure.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        title: Title of the picture, kept in the file.
        words: The picture in words, kept in the file.

    Returns:
        The path.

    Raises:
        ValueError: The path ends in something else.
    """
    import matplotlib

    path = picture_path(path)
    kind = path.suffix.lower()
    undated: dict[str, None] = {} if kind == ".png" else {"Date" if kind == ".svg" else "CreationDate": None}
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        draw().savefig(temporary, dpi=160, metadata={"Title": title, _WORDS[kind]: words, **undated})
    return path


def inline(draw: Callable[[], Figure], *, name: str) -> str:
    """Draws a picture as an SVG element to stand in a page.

    Args:
        draw: Makes the figure.
        name: Begins every id in it, so that two pictures in a page do not take each other's parts.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        draw().savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*(<metadata>.*?</metadata>|<!--.*?-->)", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace('<style type="text/css">*{', f'<style type="text/css">#{name} *{{', 1)
    head, rest = text.strip().split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)  # the page gives the size, the viewBox the shape
    return head.replace("<svg", f'<svg id="{name}" aria-hidden="true" focusable="false"', 1) + ">" + rest


def step(strengths: Sequence[float]) -> float:
    """The smallest factor between neighbours of a rising row of strengths; 10 for fewer than two.

    Example:
        >>> step([0.25, 0.5, 2.0])
        2.0
    """
    return min((after / before for before, after in itertools.pairwise(strengths)), default=10.0)


def log_strengths(axes: Axes, strengths: list[float]) -> None:
    """Makes the x axis logarithmic, with room for rising strengths above 0, spelled as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    room = min(step(strengths), 10.0) ** 0.8
    if len(strengths) > 20:  # in a random search, two may all but coincide
        room = max(room, (strengths[-1] / strengths[0]) ** 0.03)
    axes.set_xscale("log")
    axes.set_xlim(strengths[0] / room, strengths[-1] * room)
    figure = axes.get_figure(root=True)
    most = max(2, int(axes.get_position().width * figure.get_figwidth() / LABEL)) if figure else 20
    if strengths[-1] / strengths[0] >= 99:
        axes.xaxis.set_major_locator(LogLocator(base=10, numticks=most))
    else:
        axes.set_xticks(strengths[:: math.ceil(len(strengths) / most)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_strength(value)))


def break_between(left: Axes, right: Axes) -> None:
    """Shows by two strokes that the axis is broken between 0 and the rest."""
    for axes, inner, x in ((left, "right", 1.0), (right, "left", 0.0)):
        axes.spines[["top", "right", inner]].set_visible(False)
        stroke: dict[str, Any] = {"marker": [(-0.5, -1), (0.5, 1)], "markersize": 9, "color": GREY}
        axes.plot([x], [0], **stroke, clip_on=False, transform=axes.transAxes, linestyle="none")
