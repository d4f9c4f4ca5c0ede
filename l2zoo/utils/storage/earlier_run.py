"""What an earlier run left in a folder: what it was, why another cannot go on there, and how it makes room.

A run is known by files that only its kind writes, so folders of all versions are known, and nothing that is
somebody else's is ever moved.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from l2zoo.utils.storage.files import unwritable
from l2zoo.utils.storage.locks import SUFFIX, HeldError, hold
from l2zoo.utils.validation import first_names

# Kinds of run that both write a report into their folder -> the file by which each is known.
KINDS = {"a search or a comparison": "ledger.jsonl", "an experiment": "experiment.json"}
# What else only runs leave: of trainings, reference models, several comparisons, versions before.
_TRACES = (
    "state.npz",
    "reference_*.npz",
    "keras_tuner/oracle.json",
    "search/ledger.jsonl",
    "noise_*/ledger.jsonl",
    "references_*/reference_*.npz",
    "seed*/config.json",
    "seed*/*/config.json",
    "pretraining/config.json",
    "judge/config.json",
    "artifact/manifest.json",
)


class OtherRunError(ValueError):
    """A folder holds a run that this one cannot go on from.

    Attributes:
        what: The folder, and what differs, in a sentence.
    """

    def __init__(self, what: str, *, step: str = "Choose another folder, or remove that one."):
        """`step` is what to do, in the words of Python; the shell has its own."""
        super().__init__(f"{what} {step}")
        self.what, self.step = what, step

    def __reduce__(self) -> tuple[Any, ...]:  # from a worker
        return _other_run, (self.what, self.step)


def _other_run(what: str, step: str) -> OtherRunError:
    return OtherRunError(what, step=step)


def is_run(folder: Path) -> bool:
    """Whether a run of ours left its files in a folder."""
    return any(next(folder.glob(trace), None) for trace in (*KINDS.values(), *_TRACES))


def check_kind(folder: str | Path | None, kind: str, *, argument: str) -> None:
    """Raises where a run would put its report in the place of that of a run of another kind.

    Args:
        folder: Where it will write; None for nowhere.
        kind: Of this run, one of `KINDS`.
        argument: What the caller of a public function calls the folder.

    Raises:
        OtherRunError: There is one of another kind.
    """
    for other, mark in KINDS.items():
        if folder is not None and other != kind and (Path(folder) / mark).is_file():
            raise OtherRunError(
                f"`{argument}` holds {other}, and this is {kind}, got {argument}={str(folder)!r}."
            )


@contextlib.contextmanager
def fresh_start(folder: Path, *, argument: str) -> Iterator[Path | None]:
    """Puts an earlier run aside, under a numbered name beside its own, for a block that starts anew.

    Nothing is deleted, and the folder moves in one step. Where the block fails before there is anything new,
    the earlier run comes back.

    Args:
        folder: Of the run; that there is none, or nothing in it, is fine.
        argument: What the caller calls it.

    Yields:
        Where the earlier run is now; None if there was none.

    Raises:
        ValueError: What is there is not known as a run's, or another process writes into it.
        OSError: It cannot be moved.
    """
    folder = folder.absolute()
    if not folder.is_dir() or not any(folder.iterdir()):
        yield None
        return
    _check_movable(folder, argument)
    aside = _free_name(folder)
    try:
        os.rename(folder, aside)
    except OSError as error:
        raise unwritable(error, folder, argument) from error
    try:
        yield aside
    except BaseException:
        if not folder.exists():
            os.rename(aside, folder)
        raise


def _check_movable(folder: Path, argument: str) -> None:
    """Raises unless a folder is a run's, and nobody writes into it."""
    if not is_run(folder) or folder.is_symlink() or os.path.ismount(folder):
        names = sorted(path.name for path in folder.iterdir())
        raise ValueError(
            f"`{argument}` must be the folder of an earlier run to start afresh there, got "
            f"{argument}={str(folder)!r} with {first_names(names, most=3)} in it. Choose another folder."
        )
    try:
        with hold(folder / SUFFIX):  # let go before the move, which Windows refuses while a file is open
            pass
    except HeldError as error:
        raise error.of_folder(folder, argument) from None
    except OSError as error:
        raise unwritable(error, folder, argument) from error


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return aside
