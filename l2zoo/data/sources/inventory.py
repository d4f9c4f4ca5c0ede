"""What lies in a folder: images and folders by their names, and what of it all is left out, said once.

Hidden files and folders, and those that operating systems leave behind, are no part of it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from l2zoo.data.preprocessing.pixels import SUFFIXES
from l2zoo.utils.caller import outside
from l2zoo.utils.validation import did_you_mean, first_names

SUFFIX_WORDS = ", ".join(SUFFIXES)

_OF_SYSTEMS = frozenset({
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "lost+found", "@eadir",
    "system volume information",
})  # fmt: skip
_SPLIT = re.compile(r"(train|training|val|valid|validation|dev|eval|test|testing)(?![^\W\d_])", re.IGNORECASE)


def existing_folder(source: str, *, layouts: str) -> Path:
    """The folder that `"folder:PATH"` names; `~` is the home folder.

    Raises:
        FileNotFoundError: There is none; what is beside it and is called alike is suggested.
    """
    root = Path(source.removeprefix("folder:")).expanduser()
    if not root.is_dir():
        beside = [one.name for one in subfolders(root.parent)] if root.parent.is_dir() else []
        raise FileNotFoundError(
            f"There is no folder {root}: `source` 'folder:PATH' needs {layouts}."
            f"{did_you_mean(root.name, beside)}"
        )
    return root


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, by name."""
    named = (path for path in folder.iterdir() if is_image(path))
    return sorted(path for path in named if _counts(path.name) and not path.is_dir())


def is_image(file: Path) -> bool:
    """Whether a file is named as images are."""
    return file.name.lower().endswith(SUFFIXES)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name."""
    return sorted(path for path in folder.iterdir() if _counts(path.name) and path.is_dir())


def is_split_name(name: str) -> bool:
    """Whether a folder is called as splits are: "train", "val2017", "test_b".

    Example:
        >>> [is_split_name(name) for name in ("train2017", "Valid", "trainer", "cat")]
        [True, True, False, False]
    """
    return _SPLIT.match(name) is not None


def kinds_in(folder: Path) -> str:
    """What a folder holds instead of images, for a message: how many files of which suffix."""
    found = Counter(file.suffix.lower() or "no suffix" for file in files_below(folder))
    return ", ".join(f"{count} {suffix}" for suffix, count in found.most_common(5)) or "nothing"


def files_below(folder: Path) -> Iterator[Path]:
    """All files of a folder and of those in it, each folder once, whatever links there are."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if _counts(name))
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place, name) for name in sorted(files) if _counts(name))


def warn_left_out(root: Path, read: Iterable[Path], *, images: str) -> None:
    """Warns, once and with the reasons, of the files of a folder that are not read.

    Args:
        root: The folder.
        read: The files that are.
        images: Why images are left out, as in "in no class folder".
    """
    known = {os.path.normpath(file) for file in read}
    left = [file for file in files_below(root) if os.path.normpath(file) not in known]
    if not left:
        return
    some = [file for file in left if is_image(file)]
    others = [file for file in left if not is_image(file)]
    suffixes = ", ".join(sorted({file.suffix.lower() or "no suffix" for file in others}))
    word = "image" if len(some) == 1 else "images"
    parts = ((some, f"{word} {images}"), (others, f"not named as images are ({suffixes})"))
    reasons = "; ".join(f"{len(files)} {why}: {_names(files, root)}" for files, why in parts if files)
    warnings.warn(
        f"Of {root}, {len(known)} files are read, and left out are {reasons}. Move, convert or remove them.",
        UserWarning,
        stacklevel=outside(),
    )


def _names(files: list[Path], root: Path) -> str:
    return first_names([file.relative_to(root).as_posix() for file in files], most=3)


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _OF_SYSTEMS
