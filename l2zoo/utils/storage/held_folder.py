"""A folder that belongs to one process as long as it writes into it: that of a run, a search, a study."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from l2zoo.utils.storage.files import check_disk, unwritable
from l2zoo.utils.storage.locks import SUFFIX, HeldError, hold
from l2zoo.utils.storage.temporary import sweep


@contextlib.contextmanager
def hold_folder(folder: str | Path | None, *, argument: str, room: int = 0) -> Iterator[None]:
    """Keeps a folder for what this block writes into it, and makes it if need be; None is no folder.

    The lock lies in the folder, which may be one whose parent cannot be written. What killed processes left
    in it is swept out. A folder that was made here and stayed empty is taken away again.

    Args:
        folder: The folder.
        argument: What the caller of a public function calls it, for errors.
        room: Bytes that will be written at least.

    Raises:
        ValueError: Another process writes into it now, or there is a file of that name.
        OSError: It cannot be written.
    """
    if folder is None:
        yield
        return
    folder = Path(folder).absolute()  # whoever changes directory meanwhile
    with contextlib.ExitStack() as held:
        try:
            if folder.exists() and not folder.is_dir():
                raise ValueError(f"`{argument}` must be a folder, got the file {argument}={str(folder)!r}.")
            check_disk(folder, room)
            held.callback(_remove_empty, [each for each in (folder, *folder.parents) if not each.exists()])
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold(folder / SUFFIX))
            sweep(folder)
        except HeldError as error:
            raise error.of_folder(folder, argument) from None
        except OSError as error:
            raise unwritable(error, folder, argument) from error
        yield


def _remove_empty(folders: list[Path]) -> None:
    """Takes folders away, from the innermost on, as long as there is nothing in them."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
