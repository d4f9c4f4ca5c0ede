"""The command line, `l2zoo`: it asks the library and prints the answer.

Only Typer is imported here, so that `--help` is instant; every command imports what it needs. Exit status:
0 it holds, 1 it does not hold or could not be done (one line on stderr says why), 2 wrong usage.
"""

from l2zoo.cli.program import app, main

__all__ = ["app", "main"]
