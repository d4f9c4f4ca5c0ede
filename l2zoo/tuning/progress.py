"""What a search shows while it runs: a bar and a table on a terminal, a plain line a candidate elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from l2zoo.tuning.board import Board
from l2zoo.tuning.candidates import Candidate, best, spelled
from l2zoo.tuning.pairing import written
from l2zoo.tuning.record import Record

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """Shows what is done, what is left, and who leads; use it in a `with` statement.

    Args:
        metric: Name of the score.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
        stopped: What to say to somebody who stops the search.
        visible: Whether to show anything.
        console: Where to; stderr by default.
    """

    def __init__(
        self,
        *,
        metric: str,
        mode: str,
        stopped: str,
        visible: bool = True,
        console: Console | None = None,
    ):
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._console = console or Console(stderr=True, quiet=not visible, soft_wrap=True)
        self._metric = metric
        self._mode = mode
        self._stopped = stopped
        self._finished: list[Candidate] = []
        self._board = Board(metric=metric, mode=mode)
        columns = [TextColumn("lambda search"), BarColumn(), MofNCompleteColumn()]
        self._bar = Bar(*columns, TextColumn("trainings, left"), TimeRemainingColumn(), console=self._console)
        self._task = self._bar.add_task("", total=0)
        self._lively = visible and self._console.is_terminal
        self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=4)

    def __enter__(self) -> Progress:
        if self._lively:
            self._live.start()
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        if self._lively:
            self._live.stop()
        if kind is KeyboardInterrupt:
            self._console.print(f"Stopped. {self._stopped}", markup=False, highlight=False)

    def expect(self, trainings: int) -> None:
        """So many more trainings are known to come."""
        self._bar.update(self._task, total=(self._bar.tasks[0].total or 0) + trainings)

    def kept(self, count: int, of: int) -> None:
        """So many of those that were expected are finished already; they say nothing of the speed."""
        self.expect(-count)
        line = f"{count} of {of} trainings are finished already and are not run again."
        self._console.print(line, highlight=False)

    @property
    def left(self) -> int:
        """How many trainings are still to come."""
        task = self._bar.tasks[0]
        return round((task.total or 0) - task.completed)

    def record(self, record: Record) -> None:
        """One more training is finished."""
        self._board.add(record)
        self._bar.advance(self._task)

    def finish(self, candidate: Candidate, *, number: int, of: int | None) -> None:
        """All trainings of a candidate are finished.

        Args:
            candidate: The candidate with all its records.
            number: How many candidates are finished, this one included.
            of: How many there are in all; None where nobody knows.
        """
        self._board.finish(candidate)
        self._finished.append(candidate)
        if self._lively:
            return
        count = f"{number}" if of is None else f"{number}/{of}"
        result = f"{self._metric} {candidate.mean:.4f}" if candidate.n else "failed"
        line = f"[{count}] {_place(candidate)}{_early(candidate)}: {result}{self._leader()}"
        self._console.print(line, markup=False, highlight=False)

    def _leader(self) -> str:
        whole = [c for c in self._finished if c.n and all(r.unit.end is None for r in c.done)]
        if not whole:
            return ""
        leader = best(whole, mode=self._mode)
        return f"; best {self._metric} {leader.mean:.4f} at {spelled(leader.strength)}"

    def _picture(self) -> Any:
        from rich.console import Group

        return Group(self._bar, self._board.table()) if self._board else self._bar


def _place(candidate: Candidate) -> str:
    pairs = [f"{name}={written(value)}" for name, value in candidate.others]
    return ", ".join([f"l2={spelled(candidate.strength)}", *pairs])


def _early(candidate: Candidate) -> str:
    early = any(r.unit.end is not None for r in candidate.done)
    return f", {candidate.epochs} epochs" if early else ""
