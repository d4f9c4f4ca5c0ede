"""What a search shows while it runs: a bar on a terminal, a plain line a strength elsewhere."""

from __future__ import annotations

from typing import Any

from l2zoo.tuning.candidates import Candidate, spelled


class Progress:
    """Shows what is done, what is left, the best so far and the time left; use it in a `with` statement.

    Args:
        total: Trainings of the whole search.
        kept: How many of them are finished already, by an earlier run.
        metric: Name of the score.
        stopped: What to say to somebody who stops the search.
        visible: Whether to show anything.
    """

    def __init__(self, *, total: int, kept: int, metric: str, stopped: str, visible: bool = True):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, quiet=not visible, soft_wrap=True)
        self._metric = metric
        self._stopped = stopped
        self._best: Candidate | None = None
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        columns += [TextColumn("trainings, left"), TimeRemainingColumn(), TextColumn("{task.fields[best]}")]
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal)
        # A bar that began at the kept ones would take them for work done in no time.
        self._task = self._bar.add_task("lambda search", total=total - kept, best="")
        if kept:
            self._console.print(f"{kept} of {total} trainings are finished already and are not run again.")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            self._console.print(f"Stopped. {self._stopped}")

    def advance(self) -> None:
        """One more training is finished."""
        self._bar.advance(self._task)

    def finish(self, candidate: Candidate, *, number: int, of: int, better: bool) -> None:
        """All trainings of a strength are finished."""
        if better:
            self._best = candidate
        best = (
            f"best {self._metric} {self._best.mean:.4f} at {spelled(self._best.strength)}"
            if self._best
            else ""
        )
        self._bar.update(self._task, best=best)
        if not self._console.is_terminal:
            result = f"{self._metric} {candidate.mean:.4f}" if candidate.n else "failed"
            self._console.print(
                f"[{number}/{of}] l2={spelled(candidate.strength)}: {result}; {best}", markup=False
            )
