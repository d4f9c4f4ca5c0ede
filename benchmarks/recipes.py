"""How many minutes each recipe takes at its default size, from the start of the process to its last line.

    python benchmarks/recipes.py                         all, about an hour on 2 cores
    python benchmarks/recipes.py --only classify --only detect

The machine should have nothing else to do. Processor minutes are those of all threads together: on n cores a
recipe takes at least an n-th of them. What comes out is deleted, unless `--keep` names a folder for it.
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
RECIPES = (
    "tune_l2",
    "classify",
    "segment",
    "detect",
    "generate_images",
    "generate_video",
    "finetune",
    "compare_regularizers",
    "privacy",
)


def minutes(recipe: str, out: Path) -> tuple[float, float]:
    """Minutes by the clock, and of the processors, of one recipe without options but `--out`."""
    if out.exists():
        raise typer.BadParameter(f"{out} is there already, and what is finished in it would not be timed.")
    before, started = _processors(), time.perf_counter()
    command = [sys.executable, str(ROOT / f"recipes/{recipe}.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{recipe} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return (time.perf_counter() - started) / 60, (_processors() - before) / 60


def _processors() -> float:
    """Seconds that the processors have worked for processes that are finished."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(RECIPES)}.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Where what comes out is kept.")] = None,
) -> None:
    """Runs recipes one after another and prints a line for each."""
    unknown = sorted(set(only or ()) - set(RECIPES))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(RECIPES)}.")
    print(f"{os.cpu_count()} cores\n\n| recipe | minutes | processor minutes | |")
    print("|---|--:|--:|---|", flush=True)
    for recipe in only or RECIPES:
        with tempfile.TemporaryDirectory() as folder:
            wall, work = minutes(recipe, (keep or Path(folder)) / recipe)
        holds = "holds" if wall <= LIMIT else "DOES NOT HOLD"
        print(f"| `{recipe}.py` | {wall:.1f} | {work:.1f} | at most {LIMIT:g}: {holds} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
