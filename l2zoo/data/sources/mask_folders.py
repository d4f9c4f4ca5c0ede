"""Folders of images with a mask each, for segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from l2zoo.data.images import ImageData
from l2zoo.data.sources.files import SplitFiles, from_files
from l2zoo.data.sources.image_files import SUFFIXES, header, images_in, subfolders
from l2zoo.data.targets import masks

_LAYOUTS = (
    "PATH/train/images/NAME.jpg with PATH/train/masks/NAME.png (and PATH/test/...), or PATH/images/NAME.jpg "
    "with PATH/masks/NAME.png"
)
_CLASSES = "its values must be classes from 0, and 255 for not labelled"


def open_folder(path: str, name: str, split: str, *, image_size: tuple[int, int] | None) -> ImageData:
    """Images and masks of a folder; K is the highest class in the masks of all splits, plus one.

    Args:
        path: The folder; `~` is the home folder. `path/SPLIT/images` and `path/SPLIT/masks` are the
            splits its folders name; `path/images` and `path/masks` are the one split "train".
        name: What to call the data.
        split: A split or slice of it.
        image_size: `(H, W)` to resize to, or `None`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No images; an image without a mask or a mask without an image; a mask of another size
            than its image, or that is not a PNG file of one channel.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: `source` 'folder:PATH' needs {_LAYOUTS}.")
    folders = _splits(root)
    splits = {split_name: _split_files(folder) for split_name, folder in folders.items()}
    present = masks.values_in(masks.values_of(file) for some in splits.values() for file in some.stored)
    kind = masks.MaskFile(masks.numbered(present, where=root))
    return from_files(splits, kind, name=name, root=root, split=split, image_size=image_size)


def _splits(root: Path) -> dict[str, Path]:
    """Name and folder of each split."""
    if (root / "images").is_dir():
        return {"train": root}
    found = {folder.name: folder for folder in subfolders(root) if (folder / "images").is_dir()}
    if not found:
        raise ValueError(f"There is no folder of images in {root}: task='segmentation' needs {_LAYOUTS}.")
    return found


def _split_files(folder: Path) -> SplitFiles:
    images, found = _by_name(folder / "images"), _by_name(folder / "masks")
    for these, those, this, that in ((images, found, "image", "mask"), (found, images, "mask", "image")):
        for stem, file in these.items():
            if stem not in those:
                raise ValueError(f"The {this} {file} has no {that} in {folder / that}s: add or remove it.")
    headers = {file: header(file) for file in images.values()}
    for stem, mask in found.items():
        _check_mask(mask, images[stem], headers[images[stem]][1])
    return SplitFiles(headers, np.array([str(found[stem]) for stem in images]))


def _by_name(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix."""
    files = images_in(folder) if folder.is_dir() else []
    if not files:
        raise ValueError(f"There are no images ({', '.join(SUFFIXES)}) in {folder}: expected {_LAYOUTS}.")
    named: dict[str, Path] = {}
    for file in files:
        if file.stem in named:
            raise ValueError(f"{named[file.stem]} and {file} have one name: keep one of them.")
        named[file.stem] = file
    return named


def _check_mask(mask: Path, image: Path, size: tuple[int, int]) -> None:
    mode, own = header(mask)
    if mask.suffix.lower() != ".png" or mode not in masks.MODES:
        raise ValueError(
            f"The mask {mask} must be a PNG file of one 8-bit channel or with a palette, got Pillow's mode "
            f"{mode}: {_CLASSES}."
        )
    if own != size:
        raise ValueError(
            f"The mask {mask} is {own[0]}x{own[1]}, but its image {image} is {size[0]}x{size[1]} "
            "(height x width): both must have the same size."
        )
