"""The command line, `l2zoo`: it asks the library and prints the answer.

Only Typer is imported here, so that `--help` is instant; every command imports what it needs. Exit status:
0 it holds, 1 it does not hold or could not be done (one line on stderr says why), 2 wrong usage, 130 it was
stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the arguments name, and ends the process with its exit status.

    Args:
        arguments: What follows `l2zoo`; `None` for the process's own.
    """
    try:
        from l2zoo.cli import program
    except KeyboardInterrupt:  # before there is a command that could say more
        sys.exit(130)
    program.main(arguments)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'l2zoo.cli' has no attribute {name!r}")
    from l2zoo.cli.program import app

    return app
