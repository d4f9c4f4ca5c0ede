"""What a folder of images offers for each task: classes, masks, COCO's annotations, or bare pictures.

All of it is found and checked, by names, headers and annotations, and what is not read is said;
`files.FileSource` reads the images.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from l2zoo.data.images import ImageData
from l2zoo.data.sources import box_folders, class_folders, mask_folders
from l2zoo.data.sources.files import Contents, from_files
from l2zoo.data.sources.inventory import existing_folder, warn_left_out
from l2zoo.data.splits import slices
from l2zoo.data.targets.mask_classes import ClassNames


def from_folder(
    source: str,
    split: str,
    *,
    task: str = "classification",
    image_size: tuple[int, int] | None,
    class_names: ClassNames = None,
    aspect: str = "stretch",
) -> ImageData:
    """The images of a folder with the targets of a task: one channel where all are gray, else three.

    Warns of the files of the folder that are not read, with the reasons.

    Args:
        source: "folder:PATH", and the name of the data; `~` is the home folder.
        split: A split or slice of it.
        task: What the targets are for. For generation they are classes where all images are in class folders.
        image_size: `(H, W)` to resize to, or `None`.
        class_names: Of the masks of segmentation, which have no names of their own.
        aspect: What of an image is resized.

    Raises:
        FileNotFoundError: There is no such folder, or an image of the annotations is not in it.
        ValueError: Nothing for the task; a split that is not there; a file that is not an image; a class
            folder without images; an image without a mask or a mask without an image; a mask of another size
            than its image, or that is not a PNG file of one channel, or with values that are no classes;
            annotations that are not in COCO's format, or whose boxes cannot be right.
    """
    layout = _LAYOUTS[task]
    root = existing_folder(source, layouts=layout.words)
    if class_names is not None and task != "segmentation":
        raise ValueError(
            f"`class_names` must be None for a folder and task={task!r}, got {class_names!r}: its classes "
            "have names, those of the folders or of the categories."
        )
    bare = class_folders.bare_splits(root, slices.names(split)) if task == "generation" else {}
    places: dict[str, Any] = bare or layout.find(root)
    slices.check_names(split, places, where=root)
    if task == "segmentation":
        contents = mask_folders.read_masks(places, root, class_names)
    else:
        contents = class_folders.read_pictures(bare, root) if bare else layout.read(places, root)
    read = [file for some in contents.found.values() for file in some.headers]
    warn_left_out(root, [*read, *contents.others], images=layout.left)
    return from_files(
        contents.found,
        contents.kind,
        name=source,
        root=root,
        split=split,
        image_size=image_size,
        aspect=aspect,
    )


def split_names(source: str, *, task: str) -> list[str]:
    """The names of the splits that "folder:PATH" has for a task.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: Nothing for the task.
    """
    layout = _LAYOUTS.get(task, _CLASSES)
    root = existing_folder(source, layouts=layout.words)
    bare = class_folders.bare_splits(root, ("train",)) if task == "generation" else {}
    return sorted(bare or layout.find(root))


class _Layout(NamedTuple):
    """How images and targets of one task lie in a folder.

    Attributes:
        words: What a folder must look like.
        left: Why images of it are left out.
        find: The splits of a folder, and where each is.
        read: Their files with all headers and targets, checked.
    """

    words: str
    left: str
    find: Callable[[Path], dict[str, Any]]
    read: Callable[[dict[str, Any], Path], Contents]


_CLASSES = _Layout(
    class_folders.LAYOUTS,
    "outside of the class folders, or deeper in one",
    class_folders.find_classes,
    class_folders.read_classes,
)
_LAYOUTS = {
    "classification": _CLASSES,
    "segmentation": _Layout(
        mask_folders.LAYOUTS,
        "outside of `images` and `masks`",
        mask_folders.find_masks,
        mask_folders.read_masks,
    ),
    "detection": _Layout(
        box_folders.LAYOUTS,
        "that the annotations do not name",
        box_folders.find_annotations,
        box_folders.read_boxes,
    ),
    "generation": _CLASSES,
}
