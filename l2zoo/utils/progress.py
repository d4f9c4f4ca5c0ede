"""What long work shows: a bar that counts what is trained on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from l2zoo.utils.console import printable

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """Shows how many of what is counted are done and how long the rest takes; use it in a `with` statement.

    Args:
        title: What the work is.
        unit: What is counted.
        stopped: What to tell somebody who stops the work, as the message of the KeyboardInterrupt: what is
            kept, and how it goes on; or what says it.
        below: Gives what Rich shows below the bar on a terminal, such as a table of what is known so far.
        visible: Whether to show anything.
        console: Where to; stderr by default.
        transient: Whether the bar is gone when the work is done.
    """

    def __init__(
        self,
        title: str,
        *,
        unit: str = "trainings",
        stopped: str | Callable[[], str] = "",
        below: Callable[[], Any] | None = None,
        visible: bool = True,
        console: Console | None = None,
        transient: bool = False,
    ):
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._unit, self._stopped, self._below = unit, stopped, below
        self._console = console or Console(stderr=True, quiet=not visible, soft_wrap=True)
        columns = [TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(f"{unit}, left")]
        self._bar = Bar(*columns, TimeRemainingColumn(), console=self._console)
        self._task = self._bar.add_task("", total=0)
        self._live = Live(
            console=self._console, get_renderable=self._shown, refresh_per_second=4, transient=transient
        )
        self.on_terminal = visible and self._console.is_terminal

    def __enter__(self) -> Self:
        if self.on_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, *_: Any) -> None:
        if self.on_terminal:
            self._live.stop()
        if kind is KeyboardInterrupt and not str(error):
            told = self._stopped() if callable(self._stopped) else self._stopped
            raise KeyboardInterrupt(f"Stopped. {told}".rstrip()) from None

    def expect(self, count: int) -> None:
        """So many more are known to come."""
        self._bar.update(self._task, total=(self._bar.tasks[0].total or 0) + count)

    def skip(self, count: int, *, of: int) -> None:
        """So many of those that were expected are finished already; they say nothing of the speed."""
        self.expect(-count)
        self.write(f"{count} of {of} {self._unit} are finished already and are not run again.")

    def advance(self) -> None:
        """One more is finished."""
        self._bar.advance(self._task)

    def update(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self._bar.update(self._task, completed=done, total=total)

    def write(self, line: str) -> None:
        """A line that stays, above the bar."""
        self._console.print(printable(line, lines=True), markup=False, highlight=False)

    @property
    def done(self) -> int:
        """How many are finished, those of an earlier run apart."""
        return round(self._bar.tasks[0].completed)

    @property
    def left(self) -> int:
        """How many are still to come."""
        return round(self._bar.tasks[0].total or 0) - self.done

    def _shown(self) -> Any:
        """What a terminal shows."""
        from rich.console import Group

        below = None if self._below is None else self._below()
        return self._bar if below is None else Group(self._bar, below)


@contextlib.contextmanager
def progress_bar(title: str, *, unit: str, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar that is gone when the work is done, as something to tell how many of how many are done.

    Where it is not to be shown there is nothing to tell, and Rich is not imported.

    Args:
        title: What the work is.
        unit: What is counted.
        shown: Whether there is a bar, on a terminal.
    """
    if not shown:
        yield None
        return
    with Progress(title, unit=unit, transient=True) as progress:
        yield progress.update
