"""Class folders of images, read by TFDS's `ImageFolder` after a check that names what is wrong."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from l2zoo.data import catalog

SUFFIXES = (".jpg", ".jpeg", ".png")  # what ImageFolder reads
_GRAY_MODES = frozenset({"1", "L", "I", "I;16"})
_LAYOUTS = "PATH/train/CLASS/image.png (and PATH/test/CLASS/...), or PATH/CLASS/image.png"


def open_folder(path: str, split: str) -> tuple[Any, dict[Path, tuple[int, int]]]:
    """A builder that reads class folders, with one channel where all images are gray, else three.

    `path/SPLIT/CLASS/image.png` has the splits its folders name; `path/CLASS/image.png` has the one
    split "train".

    Args:
        path: The folder; `~` is the home folder.
        split: A split or slice of it, to be checked.

    Returns:
        A `tfds.ImageFolder`, and `(H, W)` of each image file of the splits that `split` names.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No class folders; a class folder without images, or hidden; a split that is not
            there; a file that is not an image.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: `source` 'folder:PATH' needs {_LAYOUTS}.")
    splits = _splits(root)
    wanted = re.findall(r"(?:^|\+)\s*(\w[\w\-.]*)", split)
    for name in wanted:
        if name not in splits:
            raise ValueError(
                f"`split` must name one of {', '.join(sorted(splits))} in {root}, got {split!r}."
            )
    headers = {name: dict(_headers(folder)) for name, folder in splits.items()}
    # All splits decide, so that training and test images have the same channels.
    modes = {mode for files in headers.values() for mode, _ in files.values()}
    builder = catalog.import_tfds().ImageFolder(
        _train_view(root.resolve()).name if splits.get("train") == root else str(root),
        shape=(None, None, 1 if modes <= _GRAY_MODES else 3),
    )
    return builder, {file: size for name in wanted for file, (_, size) in headers[name].items()}


def shared_size(sizes: dict[Path, tuple[int, int]]) -> tuple[int, int]:
    """`(H, W)` that all image files have.

    Raises:
        ValueError: Two files differ; the message names them.
    """
    first, (height, width) = next(iter(sizes.items()))
    for file, size in sizes.items():
        if size != (height, width):
            raise ValueError(
                f"Images differ in size: {first} is {height}x{width}, {file} is {size[0]}x{size[1]} "
                "(height x width). Pass image_size=(H, W) to resize them."
            )
    return height, width


def _splits(root: Path) -> dict[str, Path]:
    """Name and folder of each split; the folder is `root` itself where its subfolders are the classes."""
    folders = _subfolders(root)
    if any(_images(inner) for folder in folders for inner in _subfolders(folder)):
        return {folder.name: folder for folder in folders}
    if any(_images(folder) for folder in folders):
        return {"train": root}
    raise ValueError(
        f"There are no images ({', '.join(SUFFIXES)}) in class folders of {root}: expected {_LAYOUTS}."
    )


def _headers(split_folder: Path) -> Iterator[tuple[Path, tuple[str, tuple[int, int]]]]:
    """Pillow's mode and `(H, W)` of each image of a split, from the first bytes of its file."""
    for folder in _subfolders(split_folder):
        files = _images(folder)
        if folder.name.startswith("."):
            raise ValueError(f"The hidden folder {folder} would be a class: remove it.")
        if not files:
            raise ValueError(
                f"There are no images ({', '.join(SUFFIXES)}) in the class folder {folder}: "
                "fill or remove it."
            )
        for file in files:
            with open_image(file) as image:
                yield file, (image.mode, (image.height, image.width))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))


def open_image(file: Path) -> Any:
    """Pillow's image of a file, its pixels not decoded yet.

    Raises:
        ValueError: It is not a PNG or JPEG image.
    """
    from PIL import Image

    try:
        return Image.open(file, formats=("PNG", "JPEG"))
    except OSError as error:
        raise ValueError(f"{file} is not a PNG or JPEG image ({error}): repair or remove it.") from error


def check_decodes(file: Path) -> None:
    """Raises a `ValueError` that names the file when its pixels cannot be decoded."""
    with open_image(file) as image:
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for broken data
            raise ValueError(f"{file} cannot be decoded ({error}): repair or remove it.") from error


@functools.cache
def _train_view(root: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder with `root` as its `train`, as ImageFolder wants it; it lasts as long as the process."""
    view = tempfile.TemporaryDirectory(prefix="l2zoo-view-")
    os.symlink(root, Path(view.name, "train"), target_is_directory=True)
    return view
