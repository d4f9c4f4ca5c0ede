"""Lines of text that fit where they stand: where one is too long, only the name in it is shortened."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass

FONT = "DejaVu Sans"  # comes with matplotlib: the same picture everywhere
INK = "#1b1f24"
CAPTION = 8.0  # points: of what stands above an image
POINTS = 72  # in an inch


@dataclass(frozen=True)
class Line:
    """Text in a picture, of which only the name is shortened where it does not fit."""

    before: str
    name: str = ""
    after: str = ""
    bold: bool = False

    def __str__(self) -> str:
        return self.before + self.name + self.after


def fitted(line: Line, points: float, size: float = CAPTION) -> str:
    """The text of a line, its name shortened until the line is narrower than so many points.

    Example:
        >>> fitted(Line("said: ", "a very long name", " 80%"), 80)
        'said: a very… 80%'
    """
    if not line.name or width(str(line), size, bold=line.bold) <= points - 1:
        return str(line)

    def shortened(kept: int) -> str:
        return f"{line.before}{line.name[:kept].rstrip()}…{line.after}"

    def taken(kept: int) -> float:
        return width(shortened(kept), size, bold=line.bold)

    return shortened(max(bisect(range(len(line.name)), points - 1, key=taken) - 1, 0))


def width(text: str, size: float = CAPTION, *, bold: bool = False) -> float:
    """Of a text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, False)[0]
