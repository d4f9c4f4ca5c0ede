"""Files with bytes that are not what they were: what does l2zoo make of them, thousands of times?

    python benchmarks/hostile_files.py                  in seconds
    python benchmarks/hostile_files.py --repeat 20000   in minutes on 2 cores

A few bytes of good files are changed, or the file is cut, and it is opened as l2zoo opens it: images, whole
artifacts, TFLite and Keras files in a process of their own, the state of a run and the ledger of a search. A
file is read, or refused in a sentence; whatever else happens is counted by its name, and ends with status 1.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

REFUSED = (ValueError, FileNotFoundError)
FORMATS = {"PNG": {}, "JPEG": {}, "WEBP": {"lossless": True}, "BMP": {}, "GIF": {}}


def changed(content: bytes, rng: np.random.Generator) -> bytes:
    """The same with up to eight other bytes, or cut off somewhere."""
    if rng.random() < 0.1:
        return content[: rng.integers(len(content))]
    found = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        found[rng.integers(len(found))] = rng.integers(256)
    return bytes(found)


def outcome(act: Callable[[], Any], died: tuple[type[Exception], ...] = ()) -> str:
    """What came of it: read, refused, or anything else by its name."""
    try:
        act()
    except died as error:
        return f"ended in its own process: {type(error).__name__}"
    except REFUSED:
        return "refused"
    except Exception as error:
        return f"FAULT {type(error).__name__}"
    return "read"


def images(repeat: int, rng: np.random.Generator, folder: Path) -> Iterator[str]:
    """Image files of five formats, read as folders of images are."""
    from PIL import Image

    from l2zoo.data.preprocessing import pixels

    image = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    for kind, options in FORMATS.items():
        good = io.BytesIO()
        image.save(good, kind, **options)
        path = folder / f"image.{kind.lower()}"
        for _ in range(repeat):
            path.write_bytes(changed(good.getvalue(), rng))
            yield outcome(lambda path=path: pixels.read_file(path, channels=3))


def artifacts(repeat: int, rng: np.random.Generator, folder: Path) -> Iterator[str]:
    """An artifact of which one file is other, or is gone, or has company."""
    from l2zoo.artifacts import manifest
    from l2zoo.artifacts.store import locations

    good = locations.find("cnn_digits")
    names = sorted(path.relative_to(good) for path in good.rglob("*") if path.is_file())
    copy = folder / "artifact"
    shutil.copytree(good, copy)
    for _ in range(repeat):
        name = names[rng.integers(len(names))]
        spoilt = copy / name
        if rng.random() < 0.2:
            spoilt.unlink()
        elif rng.random() < 0.2:
            (copy / "more.bin").write_bytes(b"more")
        else:
            content = spoilt.read_bytes()
            spoilt.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        found = outcome(lambda: manifest.read_and_check(copy))
        yield "FAULT accepted" if found == "read" else found
        (copy / "more.bin").unlink(missing_ok=True)
        shutil.copyfile(good / name, spoilt)


def elsewhere(function: str, modules: tuple[str, ...]) -> Any:
    """A process of its own for a function."""
    from l2zoo.utils.processes.bounded_process import BoundedProcess

    return BoundedProcess(function, seconds=60, memory=4 * 2**30, modules=modules)


DEATHS = (ChildProcessError, TimeoutError, MemoryError, RuntimeError)


def tflite(repeat: int, rng: np.random.Generator, folder: Path) -> Iterator[str]:
    """TFLite files, opened and run as strangers' are, in a process of its own."""
    from l2zoo.artifacts.store import locations

    good = (locations.find("cnn_digits") / "model.tflite").read_bytes()
    with elsewhere("l2zoo.artifacts.probe:run_tflite", ("ai_edge_litert.interpreter",)) as run:
        for _ in range(repeat):
            content = changed(good, rng)
            yield outcome(lambda content=content: run(content, "model.tflite", 1), died=DEATHS)


def keras(repeat: int, rng: np.random.Generator, folder: Path) -> Iterator[str]:
    """Keras's files, of which the archive and then the content is looked at."""
    from l2zoo.artifacts.store import locations

    good = (locations.find("cnn_digits") / "model.keras").read_bytes()
    path = folder / "model.keras"
    with elsewhere("l2zoo.artifacts.probe:run_keras", ("keras",)) as run:
        for _ in range(repeat):
            path.write_bytes(changed(good, rng))
            yield outcome(lambda: run(path, False, None), died=DEATHS)


def ledgers(repeat: int, rng: np.random.Generator, folder: Path) -> Iterator[str]:
    """The ledger of a search, and the arrays in which a training goes on."""
    from l2zoo.engine.ledger import Ledger, States
    from l2zoo.engine.record import Record, Unit

    path, unit = folder / "ledger.jsonl", Unit(1e-3, 0, 0)
    record = Record(unit, score=0.5, curves={"loss": [1.0, 0.5]}, epochs=2)
    Ledger(path, settings={"folds": 2}).append(record)
    good = path.read_bytes()
    states = States(folder / "states")
    states.save(unit, [np.ones(20), np.zeros(3)])
    (state,) = (folder / "states").iterdir()
    whole = state.read_bytes()
    for _ in range(repeat):
        path.write_bytes(changed(good, rng))
        yield outcome(lambda: Ledger(path, settings={"folds": 2}))
        state.write_bytes(changed(whole, rng))
        yield outcome(lambda: states.load(unit))


# What is tried, and how often it is for one that is asked for.
KINDS: dict[str, tuple[Callable[[int, np.random.Generator, Path], Iterator[str]], float]] = {
    "images": (images, 1.0),
    "artifacts": (artifacts, 0.3),
    "tflite": (tflite, 1.0),
    "keras": (keras, 0.3),
    "ledgers": (ledgers, 1.0),
}


def main(
    repeat: Annotated[int, typer.Option(help="Files of each kind, about.", min=1)] = 2000,
    only: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}; empty: all.")] = "",
    seed: Annotated[int, typer.Option(help="Of what is changed.")] = 0,
) -> None:
    """Changes, opens and counts."""
    faults = 0
    for name, (kind, share) in KINDS.items():
        if only and only != name:
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            rng = np.random.default_rng(seed)
            found = Counter(kind(max(1, round(repeat * share)), rng, Path(folder)))
        words = ", ".join(f"{count:,} {what}" for what, count in found.most_common())
        print(f"{name}: {words}; {time.perf_counter() - started:.0f} s", flush=True)
        faults += sum(count for what, count in found.items() if what.startswith("FAULT"))
    raise typer.Exit(min(faults, 1))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")  # of images that say they are large
    typer.run(main)
