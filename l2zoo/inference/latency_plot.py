"""The picture of how long an artifact's files take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.inference.benchmark import Latency
from l2zoo.reports import plot_style
from l2zoo.reports.numbers import three_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
