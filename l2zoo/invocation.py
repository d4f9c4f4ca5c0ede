"""How this program was started, for those who want to do it again."""

from __future__ import annotations

import shlex
import sys
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
