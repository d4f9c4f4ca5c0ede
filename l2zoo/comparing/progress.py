"""What a comparison shows while it runs: a bar, and a line for every variant that is through."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.tuning.record import Record, Unit

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """Shows what is done and what is left; use it in a `with` statement.

    Args:
        folder: Where finished trainings are kept, to be named if somebody stops; None if nowhere.
        visible: Whether to show anything, on stderr.
        console: Another place.
    """

    def __init__(self, folder: Path | None, *, visible: bool, console: Console | None = None):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._folder = folder
        self._console = console or Console(stderr=True, quiet=not visible, soft_wrap=True)
        columns = [TextColumn("comparison"), BarColumn(), MofNCompleteColumn(), TextColumn("trainings, left")]
        lively = visible and self._console.is_terminal
        self._bar = Bar(*columns, TimeRemainingColumn(), console=self._console, disable=not lively)
        self._task = self._bar.add_task("", total=0)
        self._left: dict[str, int] = {}
        self._scores: dict[str, list[float]] = {}

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            kept = (
                f"What is finished is kept in {self._folder}: the same call goes on." if self._folder else ""
            )
            self._console.print(f"Stopped. {kept}", markup=False, highlight=False)

    def expect(self, units: Sequence[Unit], *, of: int) -> None:
        """These trainings are to come, of so many."""
        for unit in units:
            self._left[_variant(unit)] = self._left.get(_variant(unit), 0) + 1
        self._bar.update(self._task, total=(self._bar.tasks[0].total or 0) + len(units))
        if len(units) < of:
            line = f"{of - len(units)} of {of} trainings are finished already and are not run again."
            self._console.print(line, highlight=False)

    def record(self, record: Record) -> None:
        """One more is finished."""
        name = _variant(record.unit)
        self._bar.advance(self._task)
        self._left[name] -= 1
        if record.score is not None:
            self._scores.setdefault(name, []).append(record.score)
        if not self._left[name]:
            scores = self._scores.pop(name, [])
            result = f"mean score {statistics.fmean(scores):.4f}" if scores else "every training failed"
            self._console.print(f"{name}: {len(scores)} trainings, {result}", markup=False, highlight=False)


def _variant(unit: Unit) -> str:
    return str(dict(unit.others)["variant"])
