"""What an audit shows while reference models are trained."""

from __future__ import annotations

from pathlib import Path

from l2zoo.utils.progress import Count


class Following(Count):
    """Counts reference models; use it in a `with` statement.

    Args:
        count: How many there will be.
        directory: Where finished ones are kept; None for nowhere.
        visible: Whether to show anything, on stderr.
    """

    def __init__(self, count: int, *, directory: Path | None, visible: bool):
        super().__init__("privacy audit", unit="reference models", visible=visible)
        self._count = count
        self._directory = directory
        self.expect(count)

    def stopped(self) -> str:
        where = self._directory
        rest = f"the same call goes on from {where}" if where else "give `directory` to keep them"
        return f"{self._count - self.left} of {self._count} are finished; {rest}."

    def finished(self, seconds: float) -> None:
        """One more is finished."""
        self.advance()
        if not self.lively:
            self.say(f"[{self._count - self.left}/{self._count}] reference model: {seconds:.1f} s")
