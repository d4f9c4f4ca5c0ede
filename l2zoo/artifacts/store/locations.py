"""Where artifacts lie that have a name: the folder `saved_models` of the package or of its repository."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from l2zoo.artifacts import manifest
from l2zoo.utils.storage.folders import read_whole

P = ParamSpec("P")
R = TypeVar("R")
SAVED_MODELS = "saved_models"


def search_path() -> list[Path]:
    """The folders in which artifacts are looked for by name."""
    package = Path(__file__).resolve().parents[2]
    places = [package / SAVED_MODELS]
    if (package.parent / "pyproject.toml").is_file():  # beside an installed package lie strangers
        places.append(package.parent / SAVED_MODELS)
    return [place for place in places if place.is_dir()]


def saved_models() -> dict[str, Path]:
    """The artifacts that can be named, with their folders."""
    found: dict[str, Path] = {}
    for place in search_path():
        for folder in sorted(place.iterdir()):
            if (folder / manifest.FILE).is_file():
                found.setdefault(folder.name, folder)
    return found


def is_saved_model(folder: Path) -> bool:
    """Whether a folder is one of the artifacts that came with l2zoo."""
    return folder.resolve().parent in {place.resolve() for place in search_path()}


def find(name_or_folder: str | Path) -> Path:
    """The folder of an artifact. A folder that is there comes before a name.

    Raises:
        TypeError: It is neither a name nor a path.
        ValueError: It is a file.
        FileNotFoundError: There is no such folder, and no artifact of that name.
    """
    if not isinstance(name_or_folder, str | Path):
        raise TypeError(
            f"`name_or_folder` must be a name or a path, got {type(name_or_folder).__name__}: "
            f"name_or_folder={name_or_folder!r}."
        )
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ValueError(
            f"`name_or_folder` must be an artifact's folder, got the file {str(folder)!r}. A file of Keras's "
            "is loaded by keras.saving.load_model, after `import l2zoo`."
        )
    known = saved_models()
    if str(name_or_folder) in known:
        return known[str(name_or_folder)]
    raise FileNotFoundError(
        f"`name_or_folder` must be an artifact's folder or one of the saved models, got "
        f"name_or_folder={str(name_or_folder)!r}. {_there(str(name_or_folder), known)}"
    )


def reads_whole(read: Callable[P, R]) -> Callable[P, R]:
    """Lets a function read the old artifact or the new one where a writer replaces it meanwhile.

    Args:
        read: Takes an artifact as `folder` or `name_or_folder`; it is called again where that was replaced.
    """
    signature = inspect.signature(read)

    @functools.wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        try:
            folder = find(given["name_or_folder"] if "name_or_folder" in given else given["folder"])
        except (TypeError, ValueError, OSError):  # `read` says it better, and there is nothing to replace
            return read(*args, **kwargs)
        return read_whole(lambda: read(*args, **kwargs), folder, mark=manifest.FILE)

    return reading


def _there(name: str, known: dict[str, Path]) -> str:
    if not known:
        return "There are no saved models here; artifacts are written by `l2zoo.export`."
    close = difflib.get_close_matches(name, known, n=3)
    return f"Saved models like it: {close}." if close else f"The saved models: {sorted(known)}."
