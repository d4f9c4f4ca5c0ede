"""Folders of images with annotations in COCO's JSON format, for detection."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from l2zoo.data.images import ImageData
from l2zoo.data.sources import coco
from l2zoo.data.sources.files import SplitFiles, from_files
from l2zoo.data.sources.image_files import header, subfolders
from l2zoo.data.targets import box_checks, boxes

_LAYOUTS = (
    "PATH/train/annotations.json (and PATH/test/...) or PATH/annotations.json with the images beside it or "
    "in `images`, or PATH/annotations/instances_train.json with the images in PATH/train"
)


def open_folder(path: str, name: str, split: str, *, image_size: tuple[int, int] | None) -> ImageData:
    """Images and boxes of a folder; M is the number of objects of the fullest image of all splits.

    Args:
        path: The folder; `~` is the home folder.
        name: What to call the data.
        split: A split or slice of it. `path/annotations.json` is the split "train".
        image_size: `(H, W)` to resize to, or `None`.

    Raises:
        FileNotFoundError: There is no such folder, or an image of the annotations is not in it.
        ValueError: No annotations, or not in COCO's format; splits with other categories; an image of
            another size than its annotations say; what `box_checks.check_boxes` finds.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: `source` 'folder:PATH' needs {_LAYOUTS}.")
    found = {split_name: (coco.read(file), folder) for split_name, (file, folder) in _splits(root).items()}
    class_names = _shared_names([annotations for annotations, _ in found.values()])
    most = max([1, *(np.bincount(annotations.rows).max(initial=0) for annotations, _ in found.values())])
    splits = {split_name: _split_files(*some, int(most)) for split_name, some in found.items()}
    kind = boxes.PixelBoxes(class_names, int(most))
    return from_files(splits, kind, name=name, root=root, split=split, image_size=image_size)


def _splits(root: Path) -> dict[str, tuple[Path, Path]]:
    """The annotations of each split, and the folder of its images."""
    if (root / "annotations.json").is_file():
        return {"train": (root / "annotations.json", _images_of(root))}
    usual = sorted(root.glob("annotations/instances_*.json"))
    found = {file.stem.removeprefix("instances_"): file for file in usual}
    if found:
        return {split: (file, root / split) for split, file in found.items()}
    folders = [folder for folder in subfolders(root) if (folder / "annotations.json").is_file()]
    if not folders:
        raise ValueError(f"There are no annotations in {root}: task='detection' needs {_LAYOUTS}.")
    return {folder.name: (folder / "annotations.json", _images_of(folder)) for folder in folders}


def _images_of(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _shared_names(splits: list[coco.Annotations]) -> tuple[str, ...]:
    first = splits[0]
    for other in splits[1:]:
        if other.class_names != first.class_names:
            raise ValueError(
                f"{first.file} and {other.file} must have the same categories, got {len(first.class_names)} "
                f"({', '.join(first.class_names[:3])}, ...) and {len(other.class_names)} "
                f"({', '.join(other.class_names[:3])}, ...)."
            )
    return first.class_names


def _split_files(annotations: coco.Annotations, folder: Path, most: int) -> SplitFiles:
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
    box_checks.check_boxes(annotations.boxes_xyxy, sizes, lambda position: _words(annotations, position))
    return SplitFiles(headers, _padded(annotations, sizes, most))


def _words(annotations: coco.Annotations, position: int) -> str:
    return f"annotation {annotations.ids[position]} of {annotations.file}"


def _padded(annotations: coco.Annotations, sizes: np.ndarray, most: int) -> dict[str, np.ndarray]:
    """The boxes and labels of every image, in the order of the images."""
    ends = np.searchsorted(annotations.rows, np.arange(1, len(annotations.names)))
    inside = box_checks.clipped(annotations.boxes_xyxy, sizes)
    return boxes.padded(np.split(inside, ends), np.split(annotations.labels, ends), most=most)
