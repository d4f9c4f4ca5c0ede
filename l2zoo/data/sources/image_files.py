"""Image files on disk: which they are, what their headers say, and whether they can be decoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png")
GRAY_MODES = frozenset({"1", "L", "I", "I;16"})


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir())


def split_folders(root: Path) -> dict[str, Path]:
    """Name and folder of each split of `root/SPLIT/NAME/image.png`; of `root/NAME/image.png`, "train" alone.

    Empty where neither holds an image.
    """
    folders = subfolders(root)
    if any(images_in(inner) for folder in folders for inner in subfolders(folder)):
        return {folder.name: folder for folder in folders}
    return {"train": root} if any(images_in(folder) for folder in folders) else {}


def bare_splits(root: Path, asked: Iterable[str]) -> dict[str, Path]:
    """Name and folder of each split whose images are in no folder of their own; empty for other layouts.

    `root/SPLIT/image.png`, if all that are asked for are such splits; or `root/image.png`, which is "train".
    """
    folders = subfolders(root)
    if any(images_in(inner) for folder in folders for inner in subfolders(folder)):
        return {}
    named = {folder.name: folder for folder in folders if images_in(folder)}
    if named:
        return named if set(asked) <= set(named) else {}
    return {"train": root} if images_in(root) else {}


def header(file: Path) -> tuple[str, tuple[int, int]]:
    """Pillow's mode and `(H, W)` of an image file, from its first bytes."""
    with open_image(file) as image:
        return image.mode, (image.height, image.width)


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


def pixels(file: Path) -> np.ndarray:
    """What an image file holds, as Pillow decodes it; of a palette, the numbers of the colours.

    Raises:
        ValueError: It cannot be decoded; the message names the file.
    """
    with open_image(file) as image:
        try:
            return np.asarray(image)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for broken data
            raise ValueError(f"{file} cannot be decoded ({error}): repair or remove it.") from error


def shared_size(sizes: dict[Path, tuple[int, int]]) -> tuple[int, int]:
    """`(H, W)` that all image files have.

    Args:
        sizes: Of each.

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
