"""What an audit shows while reference models are trained: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Following:
    """Counts reference models; use it in a `with` statement.

    Args:
        count: How many there will be.
        kept: Where finished ones are kept; None for nowhere.
        visible: Whether to show anything, on stderr.
    """

    def __init__(self, count: int, *, kept: Path | None, visible: bool):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._count = count
        self._directory = kept
        self._found = 0
        self._done = 0
        self._console = Console(stderr=True, quiet=not visible, soft_wrap=True)
        columns = [TextColumn("reference models"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        self._lively = visible and self._console.is_terminal
        self._bar = Progress(*columns, console=self._console, disable=not self._lively)
        self._task = self._bar.add_task("", total=count)

    def __enter__(self) -> Following:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            where = self._directory
            rest = f"the same call goes on from {where}" if where else "give `directory` to keep them"
            self._say(f"Stopped. {self._found + self._done} of {self._count} are finished; {rest}.")
        elif kind is None and self._found:
            self._say(f"{self._found} of {self._count} reference models were finished already.")

    def kept(self) -> None:
        """One was finished in an earlier call."""
        self._found += 1
        self._bar.update(self._task, total=self._count - self._found)  # says nothing of the speed

    def finished(self, seconds: float) -> None:
        """One more is finished."""
        self._done += 1
        self._bar.advance(self._task)
        if not self._lively:
            self._say(f"[{self._found + self._done}/{self._count}] reference model: {seconds:.1f} s")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)
