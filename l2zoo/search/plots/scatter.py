"""The picture of a search over two hyperparameters: strength against another one, the mean score as colour.

A full grid is drawn as cells with their numbers (`cells.py`); a random or Bayesian search as discs where it
looked (`discs.py`). Darker is better, in print too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.reports import plot_style
from l2zoo.reports.numbers import format_strength
from l2zoo.search.candidates import Candidate
from l2zoo.search.plots import cells, curve, discs
from l2zoo.search.plots.pairing import Pairing, colours, value_of, written
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plane(selection: Selection, *, path: str | Path, convention: str = "keras") -> Path:
    """Draws the mean score over strength and another hyperparameter into a file.

    Of several others the first by name whose values differ is drawn. On a full grid the rest stand at their
    best values; elsewhere every trial is drawn, whatever the rest.

    Args:
        selection: The answer of a search over at least one other hyperparameter.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        convention: That of the strengths, for the axis.

    Returns:
        The path. The file carries its description in words (`alt_text`).

    Raises:
        ValueError: No other hyperparameter has two values, or the path ends in something else.
    """
    return plot_style.save(
        lambda: draw(selection, convention=convention),
        path=path,
        title=_title(selection),
        words=alt_text(selection),
    )


def alt_text(selection: Selection) -> str:
    """The picture in words, for those who do not see it."""
    other = _axis(selection)
    points = [
        f"{format_strength(c.strength)} and {written(value_of(c, other))}: "
        + (f"{c.mean:.3f}" if c.n else f"no score ({len(c.failed)} failed)")
        for c in shown(selection, other)
    ]
    what = curve.name(selection).lower()
    words = f"Mean {what} for each strength of L2 and value of {other}. {'; '.join(points)}."
    return f"{words} {best_in_words(selection)}"


def varying(selection: Selection) -> str | None:
    """The hyperparameter to draw strength against: the first by name that was tried with two values."""
    values: dict[str, set[str]] = {}
    for candidate in (*selection.candidates, *selection.rest):
        for name, value in candidate.others:
            values.setdefault(name, set()).add(repr(value))
    return next((name for name in sorted(values) if len(values[name]) > 1), None)


def shown(selection: Selection, other: str) -> list[Candidate]:
    """The candidates in the picture: a full grid's slice through the best, or else all."""
    everything = [*selection.candidates, *selection.rest]

    def aside(candidate: Candidate) -> list:
        return [pair for pair in candidate.others if pair[0] != other]

    through = [c for c in everything if aside(c) == aside(selection.best)]
    return through if _is_grid(through, other) else everything


def best_in_words(selection: Selection) -> str:
    """The best strength with the other hyperparameters that go with it, and its score."""
    pairs = [f"{name} {written(value)}" for name, value in selection.best.others]
    where = ", ".join([f"strength {format_strength(selection.best.strength)}", *pairs])
    return f"Best: {where}; mean {curve.name(selection).lower()} {selection.best.mean:.3f}."


def draw(
    selection: Selection, *, convention: str, width: float = plot_style.WIDE, headed: bool = True
) -> Figure:
    """Composes the figure.

    Args:
        selection: The answer of a search over at least one other hyperparameter.
        convention: That of the strengths, for the axis.
        width: Of the figure, in inches.
        headed: Whether the title and the best are written.
    """
    other = _axis(selection)
    tried = shown(selection, other)
    style = cells if _is_grid(tried, other) else discs
    stopped = () if style is cells else selection.stopped
    pairing = Pairing(tried, other, selection.best, stopped, colours(selection))
    rows = plot_style.legend_rows(style.handles(pairing), width=width)
    lines = plot_style.wrapped(best_in_words(selection)) if headed else []
    used = 0.60 + plot_style.LINE * len(lines) if headed else 0.05
    top = used + plot_style.ROW * len(rows) + 0.15
    bottom = style.bottom(pairing, width=width)
    figure = plot_style.blank(width=width, height=top + style.height(pairing) + bottom)
    if headed:
        plot_style.heading(figure, _title(selection), lines)
    plot_style.legend(figure, rows, down=used)
    room = pairing.room(figure, top=top, bottom=bottom)
    style.draw(figure, pairing, room=room, label=f"Strength (L2, convention {convention})")
    pairing.colour_bar(figure, room=room, label=f"Mean {curve.name(selection).lower()}")
    return figure


def _is_grid(tried: list[Candidate], other: str) -> bool:
    """Whether every strength was tried with every value, two of each at least."""
    strengths = {c.strength for c in tried}
    values = {repr(value_of(c, other)) for c in tried}
    return min(len(strengths), len(values)) > 1 and len(tried) == len(strengths) * len(values)


def _axis(selection: Selection) -> str:
    other = varying(selection)
    if other is None:
        raise ValueError("No hyperparameter besides the strength was tried with two values: draw the curve.")
    return other


def _title(selection: Selection) -> str:
    return f"{curve.name(selection)} against the strength of L2 and {_axis(selection)}"
