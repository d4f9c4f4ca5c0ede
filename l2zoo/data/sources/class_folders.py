"""Images in folders that are their classes, in splits or not; and bare pictures, in splits or not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from l2zoo.data.preprocessing.pixels import read_header
from l2zoo.data.sources.files import Contents, SplitFiles
from l2zoo.data.sources.inventory import (
    SUFFIX_WORDS,
    files_below,
    images_in,
    is_image,
    is_split_name,
    kinds_in,
    subfolders,
)
from l2zoo.data.targets.labels import Labels, NoLabels
from l2zoo.utils.validation import first_names

LAYOUTS = "PATH/train/CLASS/image.png (and PATH/test/CLASS/...), or PATH/CLASS/image.png"


def split_folders(root: Path, *, layouts: str = LAYOUTS) -> dict[str, Path]:
    """Name and folder of each split of `root/SPLIT/NAME/image.png`; of `root/NAME/image.png`, "train" alone.

    What lies deeper in a folder NAME that has images itself, or beside the folders NAME, is no part of it.
    Empty where neither holds an image.

    Raises:
        ValueError: There are both, or `root/NAME/SPLIT/image.png`.
    """
    folders = subfolders(root)
    flat = [folder for folder in folders if images_in(folder)]
    inner = {folder: [one for one in subfolders(folder) if images_in(one)] for folder in folders}
    deep = [folder for folder in folders if inner[folder]]
    if any(is_split_name(folder.name) for folder in deep):
        others = [folder.name for folder in [*flat, *deep] if not is_split_name(folder.name)]
        if others:
            split = next(folder.name for folder in deep if is_split_name(folder.name))
            raise ValueError(
                f"{root} must hold folders of splits or folders of images, but {split} is the one and "
                f"{first_names(sorted(set(others)))} the other: expected {layouts}."
            )
        return {folder.name: folder for folder in deep}
    if flat:
        return {"train": root}
    if deep and all(is_split_name(one.name) for some in inner.values() for one in some):
        raise ValueError(
            f"{root} holds splits inside of other folders ({deep[0].name}/{inner[deep[0]][0].name}): "
            f"expected the split first, {layouts}."
        )
    return {folder.name: folder for folder in deep}


def find_classes(root: Path) -> dict[str, Path]:
    """Name and folder of each split; the folder is `root` itself where its subfolders are the classes.

    Raises:
        ValueError: There are none, or images are in splits without classes.
    """
    places = split_folders(root)
    if not places:
        first = next((file for file in files_below(root) if is_image(file)), None)
        there = f" The first image is {first}." if first else ""
        raise ValueError(
            f"There are no images ({SUFFIX_WORDS}) in class folders of {root}: expected {LAYOUTS}.{there}"
        )
    names = [folder.name for folder in subfolders(root)]
    if places == {"train": root} and all(map(is_split_name, names)):
        raise ValueError(
            f"{root} holds images in {first_names(names)}, which are names of splits, not of classes: "
            f"expected {LAYOUTS}. If they are classes, move them into {root / 'train'}."
        )
    inner = {folder.name for place in places.values() for folder in subfolders(place)}
    if len(places) > 1 and len(inner) == 1 and not any(map(is_split_name, places)):
        return {"train": root}  # root/cat/images/1.png
    return places


def read_classes(places: dict[str, Path], root: Path) -> Contents:
    """K is the number of class folders of all splits, in the order of their names."""
    names = sorted({folder.name for place in places.values() for folder in subfolders(place)})
    _check_case(names, root)
    if names == ["images", "masks"]:
        raise ValueError(
            f"{root} has the folders images and masks, as images with their masks have: no classes. "
            "Pass task='segmentation', or call the classes otherwise."
        )
    numbers = {name: number for number, name in enumerate(names)}
    found = {}
    for split, place in places.items():
        headers, labels = {}, []
        for folder in subfolders(place):
            files = _class_images(folder)
            headers.update({file: read_header(file) for file in files})
            labels += [numbers[folder.name]] * len(files)
        found[split] = SplitFiles(headers, np.array(labels, np.int64))
    return Contents(found, Labels(tuple(names)))


def _class_images(folder: Path) -> list[Path]:
    """The images of a class; those in folders of it, where it has none itself, as in `cat/images/1.png`."""
    files = images_in(folder) or [file for inner in subfolders(folder) for file in images_in(inner)]
    if not files:
        raise ValueError(
            f"There are no images ({SUFFIX_WORDS}) in the class folder {folder}, which holds "
            f"{kinds_in(folder)}: fill or remove it."
        )
    return files


def _check_case(names: list[str], root: Path) -> None:
    """Raises a `ValueError` if two classes are one to who reads their names."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold().strip(), name)
        if other != name:
            raise ValueError(
                f"The class folders {other!r} and {name!r} of {root} differ in case or spaces alone: give "
                "them one name, or two."
            )


# ---- Bare pictures -----------------------------------------------------------------------------------------


def bare_splits(root: Path, asked: Iterable[str]) -> dict[str, Path]:
    """Name and folder of each split whose images are in no folder of their own; empty for other layouts.

    `root/SPLIT/image.png`, if all that are asked for are such splits, or all are called as splits are; or
    `root/image.png`, which is "train".
    """
    folders = subfolders(root)
    if any(images_in(inner) for folder in folders for inner in subfolders(folder)):
        return {}
    named = {folder.name: folder for folder in folders if images_in(folder)}
    if named:
        return named if set(asked) <= set(named) or all(map(is_split_name, named)) else {}
    return {"train": root} if images_in(root) else {}


def read_pictures(places: dict[str, Path], root: Path) -> Contents:
    """The images of each split, without classes."""
    found = {}
    for split, folder in places.items():
        headers = {file: read_header(file) for file in images_in(folder)}
        found[split] = SplitFiles(headers, np.zeros(len(headers), np.int64))
    return Contents(found, NoLabels())
