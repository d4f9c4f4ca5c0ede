"""How long an artifact's files take for one image, beside their size and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts import manifest, sample
from l2zoo.artifacts.formats import tflite
from l2zoo.artifacts.formats.table import FORMATS, formats_of
from l2zoo.artifacts.parity import timing
from l2zoo.artifacts.store import locations
from l2zoo.inference import interface
from l2zoo.reports.numbers import three_digits
from l2zoo.utils.files import replacing
from l2zoo.utils.validation import check_number, picture_path, whole_number

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Latency:
    """The latency of one file.

    Attributes:
        format: The format, as in `export`.
        threads: On which it computed.
        p50_ms: Milliseconds within which half of the answers came.
        p90_ms: Milliseconds within which nine in ten came.
        calls: How many were timed.
        bytes: Of the file.
        metrics: Those that the file had when it was exported, if they were measured.
    """

    format: str
    threads: int
    p50_ms: float
    p90_ms: float
    calls: int
    bytes: int
    metrics: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def latencies(
    name_or_folder: str | Path,
    *,
    formats: Sequence[str] | None = None,
    threads: Sequence[int] = (1,),
    seconds: float = 1.0,
) -> list[Latency]:
    """Times the TFLite files of an artifact on the real inputs that it keeps, one at a time.

    Args:
        name_or_folder: An artifact's folder, or the name of one of the saved models.
        formats: Which; all that LiteRT runs if None.
        threads: How many, each of them.
        seconds: How long each is timed, at least for 20 answers.

    Returns:
        One for each format and number of threads.

    Raises:
        FileNotFoundError: There is no such artifact.
        ValueError: It is damaged, or has no such format; numbers out of range.
    """
    check_number("seconds", seconds)
    counts = [whole_number("threads", count, at_least=1) for count in threads]
    folder = locations.find(name_or_folder)
    rows = formats_of(manifest.read_and_check(folder))
    there = [name for name in rows if name in interface.RUNNABLE]
    chosen = there if formats is None else [interface.chosen(name, list(rows)) for name in formats]
    if not chosen:
        raise ValueError(f"The artifact in {str(folder)!r} has no TFLite file, only {list(rows)}.")
    inputs, _ = sample.read(folder / sample.FILE)
    found = []
    for name in chosen:
        path = folder / FORMATS[name].path
        for threads_now in counts:
            predict, _ = tflite.open_file(path, threads=threads_now)
            times = timing.milliseconds(predict, inputs, seconds=seconds)
            p50, p90 = timing.percentiles(times)
            metrics = (rows[name].get("parity") or {}).get("metrics") or {}
            values = {metric: both["file"] for metric, both in metrics.items()}
            found.append(Latency(name, threads_now, p50, p90, len(times), path.stat().st_size, values))
    return found


def table(found: Sequence[Latency]) -> Table:
    """A row for each file and number of threads."""
    from rich.table import Table

    names = sorted({name for one in found for name in one.metrics})
    shown = Table(title="Latency of one image at a time")
    for heading in ("format", "threads", "p50 ms", "p90 ms", "bytes", *names):
        shown.add_column(heading, justify="left" if heading == "format" else "right")
    for one in found:
        metrics = [f"{one.metrics[name]:.4f}" if name in one.metrics else "" for name in names]
        times = three_digits(one.p50_ms), three_digits(one.p90_ms)
        shown.add_row(one.format, str(one.threads), *times, f"{one.bytes:,}", *metrics)
    return shown


def picture(found: Sequence[Latency], path: str | Path) -> Path:
    """Draws p50 as a bar and p90 as the end of its whisker, for each file and number of threads.

    Args:
        found: What `latencies` gave.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Raises:
        ValueError: Another ending.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = picture_path(path)
    figure = Figure(figsize=(7.5, 1.1 + 0.42 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rows = np.arange(len(found))[::-1]
    middles = np.array([one.p50_ms for one in found])
    whiskers = np.array([one.p90_ms - one.p50_ms for one in found])
    axes.barh(rows, middles, height=0.6, color="#8a93a3", edgecolor="black")
    axes.errorbar(middles, rows, xerr=[np.zeros(len(found)), whiskers], fmt="none", ecolor="black", capsize=4)
    for row, one in zip(rows, found, strict=True):
        metrics = "".join(f", {name} {value:.4f}" for name, value in one.metrics.items())
        words = f"{three_digits(one.p50_ms)} ms, {one.bytes / 1000:,.0f} kB{metrics}"
        axes.annotate(
            words, (one.p90_ms, row), xytext=(6, 0), textcoords="offset points", va="center", size=8
        )
    threads = [f"{one.format}, {one.threads} thread{'s' * (one.threads > 1)}" for one in found]
    axes.set_yticks(rows, threads)
    axes.set_xlim(0, 2.1 * max(one.p90_ms for one in found))
    axes.set_xlabel("milliseconds for one image: bar p50, whisker p90")
    axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Title": "Latency of an artifact"})
    return path
