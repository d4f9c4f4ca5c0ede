"""What a search shows while it runs: a bar and a table on a terminal, a plain line a candidate elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from l2zoo.engine.record import Record
from l2zoo.reports.numbers import format_strength
from l2zoo.search.candidates import Candidate, best
from l2zoo.search.live_table import Board
from l2zoo.search.plots.pairing import written
from l2zoo.utils import progress

if TYPE_CHECKING:
    from rich.console import Console


class SearchProgress(progress.Progress):
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
        self._metric = metric
        self._mode = mode
        self._finished: list[Candidate] = []
        self._board = Board(metric=metric, mode=mode)
        super().__init__(
            "lambda search", stopped=stopped, below=self._table, visible=visible, console=console
        )

    def record(self, record: Record) -> None:
        """One more training is finished."""
        self._board.add(record)
        self.advance()

    def finish(self, candidate: Candidate, *, number: int, of: int | None) -> None:
        """All trainings of a candidate are finished.

        Args:
            candidate: The candidate with all its records.
            number: How many candidates are finished, this one included.
            of: How many there are in all; None where nobody knows.
        """
        self._board.finish(candidate)
        self._finished.append(candidate)
        if self.on_terminal:
            return
        count = f"{number}" if of is None else f"{number}/{of}"
        result = f"{self._metric} {candidate.mean:.4f}" if candidate.n else "failed"
        self.write(f"[{count}] {_place(candidate)}{_early(candidate)}: {result}{self._leader()}")

    def _leader(self) -> str:
        whole = [c for c in self._finished if c.n and all(r.unit.end is None for r in c.done)]
        if not whole:
            return ""
        leader = best(whole, mode=self._mode)
        return f"; best {self._metric} {leader.mean:.4f} at {format_strength(leader.strength)}"

    def _table(self) -> Any:
        return self._board.table() if self._board else None


def _place(candidate: Candidate) -> str:
    pairs = [f"{name}={written(value)}" for name, value in candidate.others]
    return ", ".join([f"l2={format_strength(candidate.strength)}", *pairs])


def _early(candidate: Candidate) -> str:
    early = any(r.unit.end is not None for r in candidate.done)
    return f", {candidate.epochs} epochs" if early else ""
