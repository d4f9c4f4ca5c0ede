"""What a search shows while it runs: a bar and a table on a terminal, a plain line a candidate elsewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from l2zoo.engine.record import Record, Value
from l2zoo.reports.numbers import format_mean, format_strength, format_value
from l2zoo.reports.table import Cell, Column, Row, Table
from l2zoo.search.candidates import Candidate, best, gather
from l2zoo.utils.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

ROWS = 15  # more would not fit on a terminal together with the bar

Place = tuple[float, tuple[tuple[str, Value], ...]]


class SearchProgress(Progress):
    """Shows what is done, what is left, and who leads; use it in a `with` statement.

    Args:
        metric: Name of the score.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
        stopped: What to say to somebody who stops the search.
        visible: Whether to show anything.
        console: Where to; stderr by default.

    Attributes:
        fresh: Whether what is trained now is on fresh divisions, which judge and lead no table.
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
        self._candidates = LiveTable(metric=metric, mode=mode)
        self._metric = metric
        self.fresh = False
        super().__init__(
            "lambda search", stopped=stopped, below=self._table, visible=visible, console=console
        )

    def record(self, record: Record) -> None:
        """One more training is finished."""
        if not self.fresh:
            self._candidates.add(record)
        self.advance()

    def finish(self, candidate: Candidate, *, number: int, of: int | None) -> None:
        """All trainings of a candidate are finished.

        Args:
            candidate: The candidate with all its records.
            number: How many candidates are finished, this one included.
            of: How many there are in all; None where nobody knows.
        """
        if self.fresh:
            result = f"{self._metric} {candidate.mean:.4f}" if candidate.n else "failed"
            self.write(f"On fresh divisions, l2={format_strength(candidate.strength)}: {result}")
            return
        self._candidates.finish(candidate)
        if not self.on_terminal:
            count = f"{number}" if of is None else f"{number}/{of}"
            self.write(f"[{count}] {self._candidates.line(candidate)}")

    def _table(self) -> Table | None:
        return self._candidates.table() if self._candidates else None


class LiveTable:
    """Collects records and shows what is known of every candidate so far: the best, and the latest.

    Args:
        metric: Name of the score.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
    """

    def __init__(self, *, metric: str, mode: str):
        self._metric = metric
        self._mode = mode
        self._records: dict[Place, list[Record]] = {}  # in order of arrival
        self._finished: dict[Place, Candidate] = {}
        self._full = 0  # trainings of a candidate, once one is through

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, record: Record) -> None:
        """Takes in one more record; one that goes on where an earlier one stopped takes its place."""
        place = record.unit.strength, record.unit.others
        mine = [r for r in self._records.pop(place, []) if _end(r) >= _end(record) and r.unit != record.unit]
        self._records[place] = [*mine, record]

    def finish(self, candidate: Candidate) -> None:
        """All trainings of a candidate are there, those of an earlier run among them."""
        trainings = [*candidate.done, *candidate.failed]
        for training in trainings:
            self.add(training)
        self._full = max(self._full, len(trainings))
        self._finished[candidate.strength, candidate.others] = candidate

    def line(self, candidate: Candidate) -> str:
        """What came out for a candidate, and which is the best so far."""
        pairs = [("l2", candidate.strength), *candidate.others]
        names = ", ".join(f"{name}={format_value(value)}" for name, value in pairs)
        early = any(_end(r) < math.inf for r in candidate.done)
        result = f"{self._metric} {candidate.mean:.4f}" if candidate.n else "failed"
        line = f"{names}{f', {candidate.epochs} epochs' if early else ''}: {result}"
        leader = self._leader()
        if leader is None:
            return line
        return f"{line}; best {self._metric} {leader.mean:.4f} at {format_strength(leader.strength)}"

    def table(self) -> Table:
        """A row a candidate, the latest below; the best has a star and is always there."""
        # Copies: the display asks from a thread of its own while records come in.
        shown = {place: gather(records)[0] for place, records in list(self._records.items())}
        leader = self._leader()
        lead = None if leader is None else (leader.strength, leader.others)
        latest = list(shown)[-ROWS:]
        if lead in shown and lead not in latest:
            latest = [lead, *latest[1:]]
        names = list(dict.fromkeys(name for _, others in shown for name, _ in others))
        early = any(_end(r) < math.inf for records in list(self._records.values()) for r in records)
        headers = ["l2", *names, f"{self._metric} ± se", *(["epochs"] if early else []), "folds", "failed"]
        found = []
        for place in latest:
            texts = ["★" if place == lead else "", *self._texts(shown[place], names, early=early)]
            found.append(Row(tuple(map(Cell, texts)), "chosen" if place == lead else ""))
        return Table.of(["", *map(Column, headers)], found)

    def _texts(self, candidate: Candidate, names: list[str], *, early: bool) -> list[str]:
        values = dict(candidate.others)
        others = [format_value(values.get(name, "")) for name in names]
        epochs = [str(candidate.epochs or "")] if early else []
        count = candidate.n + len(candidate.failed)
        folds = f"{count}/{self._full}" if self._full else str(count)
        score = format_mean(candidate.mean, candidate.standard_error, digits=4)
        failed = str(len(candidate.failed) or "")
        return [format_strength(candidate.strength), *others, score, *epochs, folds, failed]

    def _leader(self) -> Candidate | None:
        """The best of those that are through and were trained to the end."""
        whole = [c for c in list(self._finished.values()) if c.n and _end(c.done[0]) == math.inf]
        return best(whole, mode=self._mode) if whole else None


def _end(record: Record) -> float:
    return math.inf if record.unit.end is None else record.unit.end
