"""Whose an artifact is: made here, shipped along, signed by a given key, vouched for, or a stranger's.

Bytes are what is trusted, not places: what this process exported is known by the digests of its files,
wherever it was copied to. The saved models of l2zoo itself are the one place that is.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest, signing
from l2zoo.artifacts.store import locations

_made: set[str] = set()  # SHA-256 of the files that this process exported


@dataclass(frozen=True)
class Whole:
    """An artifact in which every file was found to be what was written.

    Args:
        folder: Where its files are read.
        content: Its manifest.
        vouched: Whether somebody vouches for all of it: the caller, a signature, or that it came with l2zoo.
    """

    folder: Path
    content: Mapping[str, Any] = field(repr=False)
    vouched: bool

    def trusts(self, path: str) -> bool:
        """Whether a file or folder of the artifact is no stranger's."""
        rows = self._rows(path)
        return self.vouched or (bool(rows) and all(row["sha256"] in _made for row in rows))

    def _rows(self, path: str) -> list[Mapping[str, Any]]:
        files = self.content["files"]
        return [row for name, row in files.items() if name == path or name.startswith(path + "/")]

    def size(self, path: str) -> int:
        """The bytes of a file or folder of the artifact."""
        return sum(row["bytes"] for row in self._rows(path))

    def read(self, path: str) -> bytes:
        """The bytes of a file: those that were compared with its checksum, and no others."""
        return manifest.read_file(self.folder, self.content, path)

    @contextlib.contextmanager
    def private_copy(self, paths: Sequence[str]) -> Iterator[Path]:
        """A folder of ours alone with copies of files and folders, of the bytes that were compared."""
        with tempfile.TemporaryDirectory(prefix="l2zoo-") as name:  # of mode 0700
            manifest.copy_files(self.folder, self.content, Path(name), paths)
            yield Path(name)


def remember(files: Mapping[str, Mapping[str, Any]]) -> None:
    """Takes down the table of the files that this process has just written."""
    _made.update(row["sha256"] for row in files.values())


@contextlib.contextmanager
def open_whole(
    folder: Path, *, trusted: bool = False, public_key: str | Path | None = None
) -> Iterator[Whole]:
    """An artifact whose files are what was written; what is read of it in the block are those files.

    Args:
        folder: An artifact's folder.
        trusted: Whether the caller vouches for it.
        public_key: A PEM file, by which it must be signed. A copy is made, of which the signature is
            checked, and which is read.

    Raises:
        TypeError: `trusted` is not a bool.
        FileNotFoundError: There is no artifact in the folder, or no signature or key.
        ValueError: It is damaged, or signed by somebody else.
    """
    if not isinstance(trusted, bool):
        raise TypeError(
            f"`trusted` must be True or False, got trusted={trusted!r}. A key is given as `public_key`."
        )
    content = manifest.read_and_check(folder)
    if public_key is None:
        yield Whole(folder, content, trusted or locations.is_saved_model(folder))
        return
    signing.check_signature(folder, public_key)  # first where it lies, for errors that name the folder
    with tempfile.TemporaryDirectory(prefix="l2zoo-") as name:
        copy = Path(name)
        manifest.copy_files(folder, content, copy, list(content["files"]))
        manifest.write(copy, {key: value for key, value in content.items() if key != "sha256"})
        signing.copy_signature(folder, copy)
        signing.check_signature(copy, public_key)
        yield Whole(copy, content, True)
