"""What a folder of images offers for each task: classes, masks, COCO's annotations, or bare pictures.

All of it is found and checked here, by names, headers and annotations; `files.FileSource` reads the images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from l2zoo.data import splits
from l2zoo.data.images import ImageData
from l2zoo.data.sources import coco
from l2zoo.data.sources.files import MaskFiles, PixelBoxes, SplitFiles, from_files, mask_values
from l2zoo.data.sources.reading import header
from l2zoo.data.targets import boxes, masks
from l2zoo.data.targets.kind import Kind
from l2zoo.data.targets.labels import Labels, NoLabels

SUFFIXES = (".jpg", ".jpeg", ".png")

_MASK_MODES = frozenset({"1", "L", "P"})  # Pillow's: one channel of at most 8 bits, or a palette

Contents = tuple[dict[str, SplitFiles], Kind]


def from_folder(
    source: str, split: str, *, task: str = "classification", image_size: tuple[int, int] | None
) -> ImageData:
    """The images of a folder with the targets of a task: one channel where all are gray, else three.

    Args:
        source: "folder:PATH", and the name of the data; `~` is the home folder.
        split: A split or slice of it.
        task: What the targets are for. For generation they are classes where all images are in class folders.
        image_size: `(H, W)` to resize to, or `None`.

    Raises:
        FileNotFoundError: There is no such folder, or an image of the annotations is not in it.
        ValueError: Nothing for the task; a split that is not there; a file that is not an image; sizes that
            differ without `image_size`; a class folder without images, or hidden; an image without a mask
            or a mask without an image; a mask of another size than its image, or that is not a PNG file of
            one channel; annotations that are not in COCO's format, or whose boxes cannot be right.
    """
    root = Path(source.removeprefix("folder:")).expanduser()
    layout = _LAYOUTS[task]
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: `source` 'folder:PATH' needs {layout.words}.")
    bare = bare_splits(root, splits.names(split)) if task == "generation" else {}
    places, read = (bare, _read_pictures) if bare else (layout.find(root), layout.read)
    splits.check_names(split, places, where=root)
    found, kind = read(places, root)
    return from_files(found, kind, name=source, root=root, split=split, image_size=image_size)


def split_names(source: str, *, task: str) -> list[str]:
    """The names of the splits that "folder:PATH" has for a task.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: Nothing for the task.
    """
    root = Path(source.removeprefix("folder:")).expanduser()
    layout = _LAYOUTS.get(task, _CLASSES)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: `source` 'folder:PATH' needs {layout.words}.")
    bare = bare_splits(root, ("train",)) if task == "generation" else {}
    return sorted(bare or layout.find(root))


# ---- Names -------------------------------------------------------------------------------------------------


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


# ---- Pictures and classes ----------------------------------------------------------------------------------


def _read_pictures(places: dict[str, Path], root: Path) -> Contents:
    found = {}
    for split, folder in places.items():
        headers = {file: header(file) for file in images_in(folder)}
        found[split] = SplitFiles(headers, np.zeros(len(headers), np.int64))
    return found, NoLabels()


def _find_classes(root: Path) -> dict[str, Path]:
    """Name and folder of each split; the folder is `root` itself where its subfolders are the classes."""
    places = split_folders(root)
    if not places:
        raise ValueError(
            f"There are no images ({', '.join(SUFFIXES)}) in class folders of {root}: expected "
            f"{_LAYOUTS['classification'].words}."
        )
    return places


def _read_classes(places: dict[str, Path], root: Path) -> Contents:
    """K is the number of class folders of all splits, in the order of their names."""
    names = sorted({folder.name for place in places.values() for folder in subfolders(place)})
    numbers = {name: number for number, name in enumerate(names)}
    found = {}
    for split, place in places.items():
        headers, labels = {}, []
        for folder in subfolders(place):
            files = _class_images(folder)
            headers.update({file: header(file) for file in files})
            labels += [numbers[folder.name]] * len(files)
        found[split] = SplitFiles(headers, np.array(labels, np.int64))
    return found, Labels(tuple(names))


def _class_images(folder: Path) -> list[Path]:
    files = images_in(folder)
    if folder.name.startswith("."):
        raise ValueError(f"The hidden folder {folder} would be a class: remove it.")
    if not files:
        raise ValueError(
            f"There are no images ({', '.join(SUFFIXES)}) in the class folder {folder}: fill or remove it."
        )
    return files


# ---- Masks -------------------------------------------------------------------------------------------------


def _find_masks(root: Path) -> dict[str, Path]:
    """Name of each split, and the folder of its `images` and `masks`."""
    if (root / "images").is_dir():
        return {"train": root}
    found = {folder.name: folder for folder in subfolders(root) if (folder / "images").is_dir()}
    if not found:
        raise ValueError(
            f"There is no folder of images in {root}: task='segmentation' needs "
            f"{_LAYOUTS['segmentation'].words}."
        )
    return found


def _read_masks(places: dict[str, Path], root: Path) -> Contents:
    """K is the highest class in the masks of all splits, plus one."""
    found = {split: _pair_masks(folder) for split, folder in places.items()}
    present = masks.values_in(mask_values(file) for some in found.values() for file in some.stored)
    return found, MaskFiles(masks.numbers_as_names(present, where=root))


def _pair_masks(folder: Path) -> SplitFiles:
    images, found = _by_stem(folder / "images"), _by_stem(folder / "masks")
    for these, those, this, that in ((images, found, "image", "mask"), (found, images, "mask", "image")):
        for stem, file in these.items():
            if stem not in those:
                raise ValueError(f"The {this} {file} has no {that} in {folder / that}s: add or remove it.")
    headers = {file: header(file) for file in images.values()}
    for stem, mask in found.items():
        _check_mask(mask, images[stem], headers[images[stem]][1])
    return SplitFiles(headers, np.array([str(found[stem]) for stem in images]))


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix."""
    files = images_in(folder) if folder.is_dir() else []
    if not files:
        raise ValueError(
            f"There are no images ({', '.join(SUFFIXES)}) in {folder}: expected "
            f"{_LAYOUTS['segmentation'].words}."
        )
    named: dict[str, Path] = {}
    for file in files:
        if file.stem in named:
            raise ValueError(f"{named[file.stem]} and {file} have one name: keep one of them.")
        named[file.stem] = file
    return named


def _check_mask(mask: Path, image: Path, size: tuple[int, int]) -> None:
    mode, own = header(mask)
    if mask.suffix.lower() != ".png" or mode not in _MASK_MODES:
        raise ValueError(
            f"The mask {mask} must be a PNG file of one 8-bit channel or with a palette, got Pillow's mode "
            f"{mode}: its values must be classes from 0, and 255 for not labelled."
        )
    if own != size:
        raise ValueError(
            f"The mask {mask} is {own[0]}x{own[1]}, but its image {image} is {size[0]}x{size[1]} "
            "(height x width): both must have the same size."
        )


# ---- Boxes -------------------------------------------------------------------------------------------------


def _find_annotations(root: Path) -> dict[str, tuple[Path, Path]]:
    """Name of each split, its file of annotations, and the folder of its images."""
    if (root / "annotations.json").is_file():
        return {"train": (root / "annotations.json", _image_folder(root))}
    usual = sorted((root / "annotations").glob("instances_*.json"))
    found = {file.stem.removeprefix("instances_"): file for file in usual}
    if found:
        return {split: (file, root / split) for split, file in found.items()}
    folders = [folder for folder in subfolders(root) if (folder / "annotations.json").is_file()]
    if not folders:
        raise ValueError(
            f"There are no annotations in {root}: task='detection' needs {_LAYOUTS['detection'].words}."
        )
    return {folder.name: (folder / "annotations.json", _image_folder(folder)) for folder in folders}


def _image_folder(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _read_boxes(places: dict[str, tuple[Path, Path]], root: Path) -> Contents:
    """M is the number of objects of the fullest image of all splits."""
    read = {split: (coco.read(file), folder) for split, (file, folder) in places.items()}
    class_names = _shared_names([annotations for annotations, _ in read.values()])
    most = max([1, *(int(np.bincount(annotations.rows).max(initial=0)) for annotations, _ in read.values())])
    found = {split: _annotated_files(*some, most) for split, some in read.items()}
    return found, PixelBoxes(class_names, most)


def _shared_names(several: list[coco.Annotations]) -> tuple[str, ...]:
    first = several[0]
    for other in several[1:]:
        if other.class_names != first.class_names:
            raise ValueError(
                f"{first.file} and {other.file} must have the same categories, got {len(first.class_names)} "
                f"({', '.join(first.class_names[:3])}, ...) and {len(other.class_names)} "
                f"({', '.join(other.class_names[:3])}, ...)."
            )
    return first.class_names


def _annotated_files(annotations: coco.Annotations, folder: Path, most: int) -> SplitFiles:
    headers = {}
    for name, size in zip(annotations.names, annotations.sizes, strict=True):
        file = folder / name
        if not file.is_file():
            raise FileNotFoundError(
                f"The image {name} of {annotations.file} is not in {folder}: add it, or remove it from the "
                "annotations."
            )
        headers[file] = header(file)
        if size not in (None, headers[file][1]):
            own = headers[file][1]
            raise ValueError(
                f"{file} is {own[0]}x{own[1]}, but {annotations.file} says {size[0]}x{size[1]} (height x "
                "width): its boxes would be wrong."
            )
    sizes = np.array([size for _, size in headers.values()])[annotations.rows].reshape(-1, 2)
    boxes.check_boxes(
        annotations.boxes_xyxy,
        sizes,
        lambda position: f"annotation {annotations.ids[position]} of {annotations.file}",
    )
    ends = np.searchsorted(annotations.rows, np.arange(1, len(annotations.names)))
    inside = boxes.clip(annotations.boxes_xyxy, sizes)
    stored = boxes.pad(np.split(inside, ends), np.split(annotations.labels, ends), most=most)
    return SplitFiles(headers, stored)


# ---- The table ---------------------------------------------------------------------------------------------


class _Layout(NamedTuple):
    """How images and targets of one task lie in a folder.

    Attributes:
        words: What a folder must look like.
        find: The splits of a folder, and where each is.
        read: Their files with all headers and targets, checked.
    """

    words: str
    find: Callable[[Path], dict[str, Any]]
    read: Callable[[dict[str, Any], Path], Contents]


_CLASSES = _Layout(
    "PATH/train/CLASS/image.png (and PATH/test/CLASS/...), or PATH/CLASS/image.png",
    _find_classes,
    _read_classes,
)
_LAYOUTS = {
    "classification": _CLASSES,
    "segmentation": _Layout(
        "PATH/train/images/NAME.jpg with PATH/train/masks/NAME.png (and PATH/test/...), or "
        "PATH/images/NAME.jpg with PATH/masks/NAME.png",
        _find_masks,
        _read_masks,
    ),
    "detection": _Layout(
        "PATH/train/annotations.json (and PATH/test/...) or PATH/annotations.json with the images beside it "
        "or in `images`, or PATH/annotations/instances_train.json with the images in PATH/train",
        _find_annotations,
        _read_boxes,
    ),
    "generation": _CLASSES,
}
