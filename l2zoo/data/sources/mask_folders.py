"""Images with a mask each, in folders `images` and `masks`, paired by their names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from l2zoo.data.preprocessing.pixels import Header, read_header, read_values
from l2zoo.data.sources.files import Contents, MaskFiles, SplitFiles
from l2zoo.data.sources.inventory import SUFFIX_WORDS, images_in, kinds_in, subfolders
from l2zoo.data.targets.mask_classes import ClassNames, mask_classes, read_names, values_in
from l2zoo.utils.storage.reading import read_text

LAYOUTS = (
    "PATH/train/images/NAME.jpg with PATH/train/masks/NAME.png (and PATH/test/...), or PATH/images/NAME.jpg "
    "with PATH/masks/NAME.png, or PATH/images/train/NAME.jpg with PATH/masks/train/NAME.png"
)
NAMES_FILE = "classes.txt"

_MASK_MODES = frozenset({"1", "L", "P"})  # Pillow's: one channel of at most 8 bits, or a palette


class Pair(NamedTuple):
    """The folders of the images and of the masks of one split."""

    images: Path
    masks: Path


def find_masks(root: Path) -> dict[str, Pair]:
    """Name and folders of each split.

    Raises:
        ValueError: There is no folder `images`.
    """
    images, masks = root / "images", root / "masks"
    if images.is_dir():
        inner = subfolders(images)
        if inner and not images_in(images):
            return {folder.name: Pair(folder, masks / folder.name) for folder in inner}
        return {"train": Pair(images, masks)}
    found = {
        folder.name: Pair(folder / "images", folder / "masks")
        for folder in subfolders(root)
        if (folder / "images").is_dir()
    }
    if not found:
        raise ValueError(
            f"There is no folder of images in {root}: task='segmentation' needs {LAYOUTS}. It holds "
            f"{kinds_in(root)}."
        )
    return found


def read_masks(places: dict[str, Pair], root: Path, class_names: ClassNames = None) -> Contents:
    """K is the number of the values of all masks, or of the names that are given or lie in `classes.txt`."""
    found = {split: _pair(pair) for split, pair in places.items()}
    file = root / NAMES_FILE
    named = [file] if file.is_file() else []
    if class_names is None and named:
        class_names = read_names(read_text(file), file=file)
    masks = [Path(name) for some in found.values() for name in some.stored]
    classes = mask_classes(values_in(map(read_values, masks)), class_names, where=root)
    return Contents(found, MaskFiles(classes.names, classes), (*masks, *named))


def _pair(folders: Pair) -> SplitFiles:
    images, found = _by_stem(folders.images), _by_stem(folders.masks)
    for these, those, this, that in (
        (images, found, "image", folders.masks),
        (found, images, "mask", folders.images),
    ):
        for stem, file in these.items():
            if stem not in those:
                other = "mask" if this == "image" else "image"
                raise ValueError(f"The {this} {file} has no {other} in {that}: add or remove it.")
    headers = {file: read_header(file) for file in images.values()}
    for stem, mask in found.items():
        _check_mask(mask, images[stem], headers[images[stem]])
    return SplitFiles(headers, np.array([str(found[stem]) for stem in images]))


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix."""
    files = images_in(folder) if folder.is_dir() else []
    if not files:
        there = f", which holds {kinds_in(folder)}" if folder.is_dir() else ""
        raise ValueError(f"There are no images ({SUFFIX_WORDS}) in {folder}{there}: expected {LAYOUTS}.")
    named: dict[str, Path] = {}
    for file in files:
        if file.stem in named:
            raise ValueError(f"{named[file.stem]} and {file} have one name: keep one of them.")
        named[file.stem] = file
    return named


def _check_mask(mask: Path, image: Path, header: Header) -> None:
    own = read_header(mask)
    if mask.suffix.lower() != ".png" or own.mode not in _MASK_MODES:
        raise ValueError(
            f"The mask {mask} must be a PNG file of one 8-bit channel or with a palette, got Pillow's mode "
            f"{own.mode}: its values must be classes from 0, and 255 for not labelled."
        )
    if own.size == header.size:
        return
    told = "both must have the same size."
    if own.size == header.stored:
        told = (
            f"it fits the image as it is stored, before its EXIF orientation ({header.orientation}) turns it "
            "upright. Turn the mask likewise, or, if the mask is right, take the orientation out of the "
            "image."
        )
    raise ValueError(
        f"The mask {mask} is {own.size[0]}x{own.size[1]}, but its image {image} is {header.size[0]}x"
        f"{header.size[1]} (height x width): {told}"
    )
