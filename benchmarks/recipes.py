"""How many minutes each command takes at its default size, from the start of the process to its last line.

    python benchmarks/recipes.py                         all, about an hour on 2 cores
    python benchmarks/recipes.py --only classification --only detection

The machine should have nothing else to do. Processor minutes are those of all threads together: on n cores a
command takes at least an n-th of them. What comes out is deleted, unless `--keep` names a folder for it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
LIMIT = 10.0  # minutes on 2 cores
L2ZOO = str(Path(sys.executable).with_name("l2zoo"))
COMMANDS = {
    "tune": [L2ZOO, "tune", "l2zoo_digits"],
    "classification": [L2ZOO, "train", "l2zoo_digits"],
    "segmentation": [L2ZOO, "train", "l2zoo_scenes", "--task", "segmentation"],
    "detection": [L2ZOO, "train", "l2zoo_scenes", "--task", "detection"],
    "generation": [L2ZOO, "train", "l2zoo_digits", "--task", "generation"],
    "video": [L2ZOO, "train", "l2zoo_moving_digits"],
    "finetune": [sys.executable, str(ROOT / "recipes/finetune.py")],
    "compare": [L2ZOO, "compare", "l2zoo_digits"],
    "privacy": [L2ZOO, "privacy", "l2zoo_digits"],
}


def minutes(name: str, out: Path) -> tuple[float, float]:
    """Minutes by the clock, and of the processors, of one command with no option but `--out`."""
    if out.exists():
        raise typer.BadParameter(f"{out} is there already, and what is finished in it would not be timed.")
    before, started = _processors(), time.perf_counter()
    done = subprocess.run([*COMMANDS[name], "--out", str(out)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return (time.perf_counter() - started) / 60, (_processors() - before) / 60


def _processors() -> float:
    """Seconds that the processors have worked for processes that are finished."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(COMMANDS)}.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Where what comes out is kept.")] = None,
) -> None:
    """Runs commands one after another and prints a line for each."""
    unknown = sorted(set(only or ()) - set(COMMANDS))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(COMMANDS)}.")
    print(f"{os.cpu_count()} cores\n\n| command | minutes | processor minutes | |")
    print("|---|--:|--:|---|", flush=True)
    for name in only or COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            wall, work = minutes(name, (keep or Path(folder)) / name)
        holds = "holds" if wall <= LIMIT else "DOES NOT HOLD"
        print(f"| `{name}` | {wall:.1f} | {work:.1f} | at most {LIMIT:g}: {holds} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
