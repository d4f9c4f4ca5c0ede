"""Folders of pictures without classes, for generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from l2zoo.data import splits as slices
from l2zoo.data.images import ImageData
from l2zoo.data.sources.files import SplitFiles, from_files
from l2zoo.data.sources.image_files import bare_splits, header, images_in
from l2zoo.data.targets.unlabelled import Unlabelled


def open_folder(path: str, name: str, split: str, *, image_size: tuple[int, int] | None) -> ImageData | None:
    """The images of a folder, or None where they are in class folders, or there are none.

    Args:
        path: The folder; `~` is the home folder. `path/SPLIT/image.png` has the splits its folders name;
            `path/image.png` has the one split "train".
        name: What to call the data.
        split: A split or slice of it.
        image_size: `(H, W)` to resize to, or `None`.

    Raises:
        ValueError: A file that is no image; a split that is not there; sizes that differ without
            `image_size`.
    """
    root = Path(path).expanduser()
    folders = bare_splits(root, slices.names(split)) if root.is_dir() else {}
    if not folders:
        return None
    splits = {}
    for each, folder in folders.items():
        headers = {file: header(file) for file in images_in(folder)}
        splits[each] = SplitFiles(headers, np.zeros(len(headers), np.int64))
    return from_files(splits, Unlabelled(), name=name, root=root, split=split, image_size=image_size)
