"""Writers and readers of one artifact at the same time, for a bounded time: does anybody see half of one?

Each writer replaces the artifact over and over, as `export` does; each reader checks it, as `verify`, `load`
and `Predictor` do before they open anything. `--without-exchange` is what systems do that cannot let two
folders change names in one step.

On 2 busy cores, four writers and four readers in a minute: 603 artifacts written, 85,687 writers refused
because another wrote, 24,168 artifacts read; nobody saw half of one, and nothing was left beside it.

`python benchmarks/folders_at_once.py --seconds 60`
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from l2zoo.artifacts import manifest
from l2zoo.artifacts.store.locations import reads_whole
from l2zoo.utils.storage import exchange
from l2zoo.utils.storage.folders import whole_folder

NAMES = ("model.keras", "model.tflite", "sample.npz")
check = reads_whole(manifest.read_and_check)


def replace(folder: Path, word: str) -> str:
    """Writes an artifact of files that hold nothing but a word, and says how that went."""
    try:
        with whole_folder(folder, overwrite=True, mark=manifest.FILE) as (fresh, _):
            for name in NAMES:
                (fresh / name).write_text(word * 1000)
            content = {"format_version": manifest.VERSION, "name": word}
            manifest.write(fresh, {**content, "files": manifest.file_table(fresh)})
            if {(fresh / name).read_text() for name in NAMES} != {word * 1000}:
                return "saw its own files change"
    except ValueError as error:
        return "refused: another writes" if "being written by another" in str(error) else repr(error)
    except Exception as error:
        return repr(error)
    return "written"


def read(folder: Path) -> str:
    """Checks the artifact and says how that went."""
    try:
        check(folder)
    except Exception as error:
        return repr(error)
    return "read"


def work(folder: Path, word: str, seconds: float, exchanges: bool, counts: multiprocessing.Queue) -> None:
    """Writes, or without a word reads, until the time is over."""
    if not exchanges:
        exchange._renameat2 = lambda: None
    found, end = Counter(), time.monotonic() + seconds
    while time.monotonic() < end:
        found[replace(folder, word) if word else read(folder)] += 1
    counts.put(found)


def main(
    seconds: Annotated[float, typer.Option(help="How long.")] = 60.0,
    writers: Annotated[int, typer.Option(help="Processes that write.")] = 4,
    readers: Annotated[int, typer.Option(help="Processes that read.")] = 4,
    without_exchange: Annotated[bool, typer.Option("--without-exchange", help="As elsewhere.")] = False,
) -> None:
    """Counts what writers and readers of one artifact say, and what is left in the end."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        folder, counts = Path(place, "artifact"), context.Queue()
        replace(folder, "first")
        words = [f"writer{number}" for number in range(writers)] + [""] * readers
        tasks = [
            context.Process(target=work, args=(folder, word, seconds, not without_exchange, counts))
            for word in words
        ]
        for task in tasks:
            task.start()
        total = sum((counts.get() for _ in tasks), Counter())
        for task in tasks:
            task.join()
        for words, count in total.most_common():
            typer.echo(f"{count:8,}  {words}")
        left = sorted(path.name for path in Path(place).iterdir() if path != folder)
        typer.echo(f"left beside the artifact: {', '.join(left) or 'nothing'}")


if __name__ == "__main__":
    typer.run(main)
