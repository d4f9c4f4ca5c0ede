"""How long an artifact's files take for one image, beside their size and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2zoo.artifacts import probe, sample, trust
from l2zoo.artifacts.formats import tflite
from l2zoo.artifacts.formats.table import FORMATS, formats_of
from l2zoo.artifacts.parity import timing
from l2zoo.artifacts.store import locations
from l2zoo.inference.predictor import RUNNABLE, select_format
from l2zoo.reports.numbers import three_digits
from l2zoo.reports.table import Cell, Column, Table, cell
from l2zoo.utils.validation import check_number, whole_number


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


def measure_latency(
    name_or_folder: str | Path,
    *,
    formats: Sequence[str] | None = None,
    threads: Sequence[int] = (1,),
    seconds: float = 1.0,
    trusted: bool = False,
    public_key: str | Path | None = None,
) -> list[Latency]:
    """Times the TFLite files of an artifact on the real inputs that it keeps, one at a time.

    Args:
        name_or_folder: An artifact's folder, or the name of one of the saved models.
        formats: Which; all that LiteRT runs if None.
        threads: How many, each of them.
        seconds: How long each is timed, at least for 20 answers.
        trusted: Whether you vouch for the artifact, as `Predictor` has it.
        public_key: By which it must be signed, likewise.

    Returns:
        One for each format and number of threads.

    Raises:
        FileNotFoundError: There is no such artifact.
        ValueError: It is damaged, or has no such format; numbers out of range.
    """
    check_number("seconds", seconds)
    counts = [whole_number("threads", count, at_least=1) for count in threads]
    folder = locations.find(name_or_folder)
    found = []
    with trust.open_whole(folder, trusted=trusted, public_key=public_key) as whole:
        rows = formats_of(whole.content)
        there = [name for name in rows if name in RUNNABLE]
        selected = there if formats is None else [select_format(name, list(rows)) for name in formats]
        if not selected:
            raise ValueError(f"The artifact in {str(folder)!r} has no TFLite file, only {list(rows)}.")
        with whole.private_copy([sample.FILE]) as copy:
            inputs, _ = sample.read(copy / sample.FILE)
        for name in selected:
            path = FORMATS[name].path
            file = whole.read(path)
            probe.try_tflite(whole, path, file)
            for threads_now in counts:
                predict, _ = tflite.open_content(file, path, threads=threads_now)
                times = timing.milliseconds(predict, inputs, seconds=seconds)
                p50, p90 = timing.percentiles(times)
                metrics = (rows[name].get("parity") or {}).get("metrics") or {}
                values = {metric: both["file"] for metric, both in metrics.items()}
                found.append(Latency(name, threads_now, p50, p90, len(times), len(file), values))
    return found


def latency_table(found: Sequence[Latency]) -> Table:
    """A row for each file and number of threads."""
    names = sorted({name for one in found for name in one.metrics})
    columns: list[Column | str] = ["format", *map(Column, ("threads", "p50 ms", "p90 ms", "bytes", *names))]
    rows = [
        (
            one.format,
            one.threads,
            *(Cell(three_digits(time), time) for time in (one.p50_ms, one.p90_ms)),
            cell(one.bytes, "{:,}"),
            *(cell(one.metrics.get(name), "{:.4f}") for name in names),
        )
        for one in found
    ]
    return Table.of(columns, rows, title="Latency of one image at a time")
