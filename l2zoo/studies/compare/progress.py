"""What a comparison shows while it runs: a bar, and a line for every variant that is through."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from l2zoo.engine.record import Record, Unit
from l2zoo.stats.summary import mean
from l2zoo.utils.progress import Progress


class ComparisonProgress(Progress):
    """Shows what is done and what is left; use it in a `with` statement.

    Args:
        folder: Where finished trainings are kept, to be named if somebody stops; None if nowhere.
        visible: Whether to show anything, on stderr.
    """

    def __init__(self, folder: Path | None, *, visible: bool):
        kept = f"What is finished is kept in {folder}: the same call goes on." if folder else ""
        super().__init__("comparison", stopped=kept, visible=visible)
        self._missing: Counter[str] = Counter()
        self._scores: dict[str, list[float]] = defaultdict(list)

    def begin(self, units: Sequence[Unit]) -> None:
        """These are to be trained."""
        self._missing.update(map(_variant, units))

    def record(self, record: Record) -> None:
        """One more is finished."""
        name = _variant(record.unit)
        self.advance()
        self._missing[name] -= 1
        if record.score is not None:
            self._scores[name].append(record.score)
        if not self._missing[name]:
            scores = self._scores.pop(name, [])
            result = f"mean score {mean(scores):.4f}" if scores else "every training failed"
            self.write(f"{name}: {len(scores)} trainings, {result}")


def _variant(unit: Unit) -> str:
    return str(dict(unit.others)["variant"])
