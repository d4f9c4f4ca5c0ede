"""Weights and optimizer states of trainings that another training may go on from, on disk."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np

from l2zoo.engine.record import Unit
from l2zoo.engine.warm_model import State
from l2zoo.utils.files import replacing


class States:
    """A folder with a file for each unit. One that is lost costs a training from the first epoch.

    Args:
        folder: Where; it is made when the first state is saved.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder).absolute()

    def save(self, unit: Unit, state: State) -> None:
        """Writes the state at the end of a unit.

        Raises:
            OSError: The disk is full or cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(unit)) as temporary, temporary.open("wb") as file:
            np.savez(file, *state)

    def load(self, unit: Unit) -> State | None:
        """The state at the end of a unit; None if it is lost or damaged."""
        try:
            with np.load(self._path(unit), allow_pickle=False) as file:
                return [file[f"arr_{number}"] for number in range(len(file.files))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def clear(self) -> None:
        """Deletes them all: the search is over."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, unit: Unit) -> Path:
        return self._folder / f"{hashlib.sha256(repr(unit).encode()).hexdigest()[:32]}.npz"
