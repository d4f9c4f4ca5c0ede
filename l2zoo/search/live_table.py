"""The live table of a search: every candidate with what is known of it so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from l2zoo.engine.record import Record, Value
from l2zoo.reports.numbers import format_strength
from l2zoo.search.candidates import Candidate, best, gather
from l2zoo.search.plots.pairing import written

if TYPE_CHECKING:
    from rich.table import Table

ROWS = 15  # more would not fit on a terminal together with the bar

Place = tuple[float, tuple[tuple[str, Value], ...]]


class Board:
    """Collects records and shows them as a table: the best, and the latest.

    Args:
        metric: Name of the score.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
    """

    def __init__(self, *, metric: str, mode: str):
        self._metric = metric
        self._mode = mode
        self._records: dict[Place, list[Record]] = {}  # in order of arrival
        self._through: dict[Place, Candidate] = {}
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
        self._through[candidate.strength, candidate.others] = candidate

    def table(self) -> Table:
        """A row a candidate, the latest below; the best has a star and is always there."""
        from rich.table import Table

        # Copies: the display asks from a thread of its own while records come in.
        shown = {place: gather(records)[0] for place, records in list(self._records.items())}
        leader = self._leader()
        latest = list(shown)[-ROWS:]
        if leader in shown and leader not in latest:
            latest = [leader, *latest[1:]]
        names = list(dict.fromkeys(name for _, others in shown for name, _ in others))
        early = any(_end(r) < math.inf for records in list(self._records.values()) for r in records)
        out = Table(box=None, pad_edge=False, header_style="bold")
        score, epochs = f"{self._metric} ± se", ["epochs"] if early else []
        for header in ["", "l2", *names, score, *epochs, "folds", "failed"]:
            out.add_column(header, justify="left" if not header else "right", no_wrap=True)
        for place in latest:
            cells = self._cells(shown[place], names, early=early)
            lead = place == leader
            out.add_row("★" if lead else "", *cells, style="bold" if lead else None)
        return out

    def _cells(self, candidate: Candidate, names: list[str], *, early: bool) -> list[str]:
        values = dict(candidate.others)
        others = [written(values[name]) if name in values else "" for name in names]
        epochs = [str(candidate.epochs or "")] if early else []
        count = candidate.n + len(candidate.failed)
        folds = f"{count}/{self._full}" if self._full else str(count)
        failed = str(len(candidate.failed) or "")
        return [format_strength(candidate.strength), *others, _score(candidate), *epochs, folds, failed]

    def _leader(self) -> Place | None:
        whole = {p: c for p, c in dict(self._through).items() if c.n and _end(c.done[0]) == math.inf}
        if not whole:
            return None
        leader = best(list(whole.values()), mode=self._mode)
        return next(place for place, candidate in whole.items() if candidate is leader)


def _end(record: Record) -> float:
    return math.inf if record.unit.end is None else record.unit.end


def _score(candidate: Candidate) -> str:
    if not candidate.n:
        return "-"
    return f"{candidate.mean:.4f}" + (f" ± {candidate.standard_error:.4f}" if candidate.n > 1 else "")
