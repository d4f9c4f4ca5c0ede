"""What cells and discs share: candidates over two hyperparameters, and the colours of their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from l2zoo.engine.record import Value
from l2zoo.reports.numbers import format_strength
from l2zoo.reports.plot_style import GREY, INK, RED
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots.scale import limits
from l2zoo.search.select import Selection
from l2zoo.stats.summary import sign_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

STAR: dict[str, Any] = {"marker": "*", "markerfacecolor": RED, "linestyle": "none"}
FAILED: dict[str, Any] = {"marker": "x", "color": RED, "markersize": 7, "linestyle": "none"}
Colour = tuple[float, float, float, float]
LABEL = 9.0  # of the values along the axes, in points
LETTERS = 16  # of a value at an axis


@dataclass(frozen=True)
class Pairing:
    """Candidates over strength and another hyperparameter.

    Args:
        tried: Those to draw; any without a score has failed.
        other: Name of the other hyperparameter.
        best: The best of all.
        stopped: Those given up early; they get no colour.
        colours: Gives the colour of a mean.
    """

    tried: Sequence[Candidate]
    other: str
    best: Candidate
    stopped: Sequence[Candidate]
    colours: ScalarMappable

    @cached_property
    def strengths(self) -> list[float]:
        """All strengths, rising."""
        return sorted({c.strength for c in (*self.tried, *self.stopped)})

    @cached_property
    def values(self) -> list[Value]:
        """All values of the other hyperparameter: numbers rise, anything else follows the alphabet."""
        found = {repr(v): v for v in (value_of(c, self.other) for c in (*self.tried, *self.stopped))}
        return sorted(found.values(), key=lambda v: (0, v, "") if is_number(v) else (1, 0.0, str(v)))

    @property
    def any_failed(self) -> bool:
        """Whether a candidate has no score."""
        return any(not c.n for c in self.tried)

    def colour(self, candidate: Candidate) -> Colour:
        """Red, green, blue and opacity of a mean, in [0, 1]."""
        low, high = self.colours.get_clim()
        return self.colours.get_cmap()((candidate.mean - low) / (high - low))

    def handles(self) -> list[Artist]:
        """The legend's entries for the best and the failed."""
        from matplotlib.lines import Line2D

        found: list[Artist] = [Line2D([], [], **STAR, markeredgecolor=INK, markersize=11, label="best")]
        if self.any_failed:
            found.append(Line2D([], [], **FAILED, label="failed"))
        return found

    def room(self, figure: Figure, *, top: float, bottom: float) -> dict[str, float]:
        """The place of the axes, as parts of the figure; the values stand at the left, the colours right.

        Args:
            figure: The figure, of its final size.
            top: What is taken at the top, in inches.
            bottom: What is taken at the bottom, in inches.
        """
        from matplotlib.textpath import TextPath

        width, height = figure.get_size_inches()
        names = [TextPath((0, 0), tick(v), size=LABEL).get_extents().width for v in self.values]
        left = min(0.62 + max(names) / 72, 0.4 * width)
        return {
            "left": left / width,
            "right": 1 - 0.95 / width,
            "bottom": bottom / height,
            "top": 1 - top / height,
        }

    def colour_bar(self, figure: Figure, *, room: dict[str, float], label: str) -> None:
        """Draws the scale of colours at the right, pointed where scores lie beyond it."""
        means = [c.mean for c in self.tried if c.n]
        low, high = self.colours.get_clim()
        below, above = min(means) < low, max(means) > high
        extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
            (below, above), "neither"
        )
        width = figure.get_figwidth()
        height = min(room["top"] - room["bottom"], 2.6 / figure.get_figheight())
        axes = figure.add_axes((room["right"] + 0.16 / width, room["top"] - height, 0.13 / width, height))
        bar = figure.colorbar(self.colours, cax=axes, extend=extend)
        bar.set_label(label, size=LABEL)
        bar.outline.set_visible(False)
        axes.tick_params(labelsize=LABEL, color=GREY)
        axes.locator_params(nbins=5)


def colours(selection: Selection) -> ScalarMappable:
    """Pale to dark from worse to better; strengths that collapsed do not take the shades from the rest."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    shades = LinearSegmentedColormap.from_list("l2zoo", ["#edf2f9", "#8fb2d9", "#3f77b5", "#12305c"])
    if sign_of(selection.mode) < 0:
        shades = shades.reversed()
    low, high = limits(selection, extent=lambda some: (min(c.mean for c in some), max(c.mean for c in some)))
    return ScalarMappable(Normalize(low, high), shades)


def value_of(candidate: Candidate, other: str) -> Value:
    """A candidate's value of another hyperparameter."""
    return dict(candidate.others).get(other, "-")


def is_number(value: Value) -> bool:
    """Whether a value has a place on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def tick(value: Value) -> str:
    """A value as it stands at an axis, where there is no room for long ones."""
    text = written(value)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def written(value: Value) -> str:
    """A value as people write it.

    Example:
        >>> [written(value) for value in (0.0001, 32, 0.5, True, "relu")]
        ['1e-4', '32', '0.5', 'True', 'relu']
    """
    if isinstance(value, float) and math.isfinite(value) and value >= 0:
        return format_strength(value)
    return str(value)
