"""Images with boxes, in COCO's JSON format: where tools put annotations, and which files they mean."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from l2zoo.data.preprocessing.pixels import Header, read_header
from l2zoo.data.sources import coco
from l2zoo.data.sources.files import Contents, PixelBoxes, SplitFiles
from l2zoo.data.sources.inventory import files_below, is_image, kinds_in, subfolders
from l2zoo.data.targets import boxes
from l2zoo.utils.validation import first_names

LAYOUTS = (
    "PATH/train/annotations.json (and PATH/test/...) or PATH/annotations.json with the images beside it or "
    "in `images`, or PATH/annotations/instances_train.json with the images in PATH/train or PATH/images/train"
)

# Names that tools give to annotations: ours, Roboflow's, Label Studio's, CVAT's.
_NAMES = ("annotations.json", "_annotations.coco.json", "result.json", "instances_default.json")
_INSTANCES = "instances_"
_UNNAMED = "default"  # CVAT's word for a split that nobody named


class Annotated(NamedTuple):
    """The annotations of one split.

    Attributes:
        file: Their file.
        images: The folder of the images.
        root: The folder from which paths of images may go, too.
    """

    file: Path
    images: Path
    root: Path


def find_annotations(root: Path) -> dict[str, Annotated]:
    """Name of each split, its file of annotations, and the folders of its images.

    Raises:
        ValueError: There are no annotations, or several files that may be them.
    """
    own = _annotations_in(root)
    if own:
        return {"train": Annotated(own, _first_folder(root / "images", root), root)}
    usual = sorted((root / "annotations").glob("*.json"))
    usual = [file for file in usual if file.stem.startswith(_INSTANCES)] or usual
    if usual:
        found = {file.stem.removeprefix(_INSTANCES): file for file in usual}
        if list(found) == [_UNNAMED]:
            found = {"train": found[_UNNAMED]}
        return {
            split: Annotated(
                file, _first_folder(root / split, root / "images" / split, root / "images", root), root
            )
            for split, file in found.items()
        }
    found = {folder.name: file for folder in subfolders(root) if (file := _annotations_in(folder))}
    if not found:
        raise ValueError(
            f"There are no annotations in {root}: task='detection' needs {LAYOUTS}. It holds "
            f"{kinds_in(root)}."
        )
    return {
        split: Annotated(file, _first_folder(file.parent / "images", file.parent), file.parent)
        for split, file in found.items()
    }


def read_boxes(places: dict[str, Annotated], root: Path) -> Contents:
    """M is the number of objects of the fullest image of all splits."""
    read = {split: (coco.read(place.file), place) for split, place in places.items()}
    class_names = _shared_names([annotations for annotations, _ in read.values()])
    most = max([1, *(int(np.bincount(annotations.rows).max(initial=0)) for annotations, _ in read.values())])
    found = {split: _annotated_files(*some, most) for split, some in read.items()}
    return Contents(found, PixelBoxes(class_names, most), tuple(place.file for place in places.values()))


def _annotations_in(folder: Path) -> Path | None:
    """The file of annotations in a folder: of a known name, or the only one that it can be."""
    named = [folder / name for name in _NAMES if (folder / name).is_file()]
    found = named or sorted(folder.glob("*.json"))
    if len(found) > 1:
        raise ValueError(
            f"{folder} must hold one file of annotations, but there are "
            f"{first_names([file.name for file in found])}: keep one of them, or name it {_NAMES[0]}."
        )
    return found[0] if found else None


def _first_folder(*places: Path) -> Path:
    """The first of some places that is there, the last of which is."""
    return next(place for place in places if place.is_dir())


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


def _annotated_files(annotations: coco.Annotations, place: Annotated, most: int) -> SplitFiles:
    headers: dict[Path, Header] = {}
    files = _Files(place)
    for name, size in zip(annotations.names, annotations.sizes, strict=True):
        file = files.find(name)
        if file in headers:
            raise ValueError(f"Two images of {annotations.file} are one file, {file}: keep one of them.")
        headers[file] = read_header(file)
        if size not in (None, headers[file].size):
            raise _size_error(file, headers[file], annotations.file, size)
    sizes = np.array([header.size for header in headers.values()])[annotations.rows].reshape(-1, 2)
    boxes.check_boxes(
        annotations.boxes_xyxy,
        sizes,
        lambda position: f"annotation {annotations.ids[position]} of {annotations.file}",
    )
    ends = np.searchsorted(annotations.rows, np.arange(1, len(annotations.names)))
    inside = boxes.clip(annotations.boxes_xyxy, sizes)
    stored = boxes.pad(np.split(inside, ends), np.split(annotations.labels, ends), most=most)
    return SplitFiles(headers, stored)


def _size_error(file: Path, header: Header, annotations: Path, size: tuple[int, int]) -> ValueError:
    told = "its boxes would be wrong."
    if size == header.stored:
        told = (
            "they were drawn on the image as it is stored, before its EXIF orientation "
            f"({header.orientation}) turns it upright. Turn the boxes likewise, or, if they are right, take "
            "the orientation out of the image and save it so."
        )
    own = header.size
    return ValueError(
        f"{file} is {own[0]}x{own[1]}, but {annotations} says {size[0]}x{size[1]} (height x width): {told}"
    )


class _Files:
    """The image files that annotations speak of, under whatever path the tool knew them."""

    def __init__(self, place: Annotated):
        self._place = place
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """The file with a name; of a path that leads nowhere, the one file with its last part.

        Raises:
            FileNotFoundError: There is none.
            ValueError: There are several.
        """
        path, images = _relative(name), self._place.images
        for file in (images / path, self._place.root / path, images / path.name):
            if file.is_file():
                return file
        found = self._named(path.name)
        if len(found) > 1:
            raise ValueError(
                f"The image {name} of {self._place.file} may be {found[0]} or {found[1]}: say which, by its "
                f"path from {images}."
            )
        if not found:
            raise FileNotFoundError(
                f"The image {name} of {self._place.file} is not in {images}: add it, or remove it from the "
                "annotations."
            )
        return found[0]

    def _named(self, name: str) -> list[Path]:
        if self._by_name is None:
            self._by_name = {}
            for file in filter(is_image, files_below(self._place.images)):
                self._by_name.setdefault(file.name, []).append(file)
        return self._by_name.get(name, [])


def _relative(name: str) -> PurePosixPath:
    """The path of a file's name in annotations: of another system, of an address, or from somewhere else."""
    path = name.replace("\\", "/")
    if re.match(r"\w+://|data/local-files/|/data/", path):  # Label Studio's own address ends in ?d=PATH
        path = unquote(path.rpartition("?d=")[2] if "?d=" in path else path.partition("?")[0])
        return PurePosixPath(PurePosixPath(path).name)
    parts = [part for part in PurePosixPath(path).parts if part not in (".", "/")]
    outside = path.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", path)
    return PurePosixPath(parts[-1]) if outside and parts else PurePosixPath(*parts)
