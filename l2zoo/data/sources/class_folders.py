"""Class folders of images, read by TFDS's `ImageFolder` after a check that names what is wrong."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from l2zoo.data import splits as slices
from l2zoo.data.sources import catalog
from l2zoo.data.sources.image_files import GRAY_MODES, SUFFIXES, header, images_in, split_folders, subfolders

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
    slices.check_names(split, splits, where=root)
    headers = {name: dict(_headers(folder)) for name, folder in splits.items()}
    # All splits decide, so that training and test images have the same channels.
    modes = {mode for files in headers.values() for mode, _ in files.values()}
    builder = catalog.import_tfds().ImageFolder(
        _train_view(root.resolve()).name if splits.get("train") == root else str(root),
        shape=(None, None, 1 if modes <= GRAY_MODES else 3),
    )
    return builder, {file: size for name in slices.names(split) for file, (_, size) in headers[name].items()}


def _splits(root: Path) -> dict[str, Path]:
    """Name and folder of each split; the folder is `root` itself where its subfolders are the classes."""
    splits = split_folders(root)
    if not splits:
        raise ValueError(
            f"There are no images ({', '.join(SUFFIXES)}) in class folders of {root}: expected {_LAYOUTS}."
        )
    return splits


def _headers(split_folder: Path) -> Iterator[tuple[Path, tuple[str, tuple[int, int]]]]:
    """Pillow's mode and `(H, W)` of each image of a split, from the first bytes of its file."""
    for folder in subfolders(split_folder):
        files = images_in(folder)
        if folder.name.startswith("."):
            raise ValueError(f"The hidden folder {folder} would be a class: remove it.")
        if not files:
            raise ValueError(
                f"There are no images ({', '.join(SUFFIXES)}) in the class folder {folder}: "
                "fill or remove it."
            )
        for file in files:
            yield file, header(file)


@functools.cache
def _train_view(root: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder with `root` as its `train`, as ImageFolder wants it; it lasts as long as the process."""
    view = tempfile.TemporaryDirectory(prefix="l2zoo-view-")
    os.symlink(root, Path(view.name, "train"), target_is_directory=True)
    return view
