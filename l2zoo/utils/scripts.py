"""Scripts: how one starts and ends, and the command for those who want to do it again."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path


def script_command() -> str:
    """What repeats this program, where it is a script; empty otherwise.

    A script below the working directory is named by its path from there, another by its folder and name: a
    card travels, and the folders of one machine mean nothing elsewhere.
    """
    script = Path(sys.argv[0])
    if script.suffix != ".py":
        return ""
    path, here = script.resolve(), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else Path(*path.parts[-2:])
    return shlex.join(["python", shown.as_posix(), *sys.argv[1:]])


def run_script(main: Callable[..., None]) -> None:
    """Runs `main` with the arguments of the command line, as Typer reads them from its signature.

    What the user can mend (a bad argument, a file, a package that is not installed) ends the process with one
    line on stderr and status 1, not with a traceback.
    """
    import typer

    try:
        typer.run(main)
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
