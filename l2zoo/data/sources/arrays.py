"""Images and targets that are arrays already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.data.checks import as_pixels, check_images
from l2zoo.data.images import Arrays, ImageData
from l2zoo.data.preprocessing.resizing import fit_array
from l2zoo.data.targets import boxes, values
from l2zoo.data.targets.kind import Targets
from l2zoo.data.targets.mask_classes import ClassNames, mask_classes, values_in
from l2zoo.data.targets.masks import UNLABELLED

NAME = "arrays"  # of data that have no other


def from_arrays(
    x: ArrayLike,
    y: Any,
    *,
    split: str,
    task: str = "classification",
    image_size: tuple[int, int] | None,
    class_names: ClassNames = None,
    aspect: str = "stretch",
) -> ImageData:
    """Images `(N, H, W, C)` or `(N, H, W)` with their targets, checked.

    Args:
        x: Pixels in [0, 255]; integers become uint8, floats float32. Not copied where nothing changes.
        y: Labels `(N,)` or `(N, 1)`; masks `(N, H, W)` or `(N, H, W, 1)`; or a dict of `boxes_xyxy` and
            `labels`, arrays `(N, M, 4)` and `(N, M)` or lists of an array `(n, 4)` and `(n,)` an image. K is
            the largest class plus one, and M what there is or, of lists, the largest n. For generation, None
            where there are no labels. For regression numbers `(N,)` or `(N, D)`, for several labels an image
            `(N, K)`, each 0 or 1.
        split: What to call them.
        task: What the targets are for.
        image_size: `(H, W)` to resize to, or `None`.
        class_names: Of the classes, in their order; of masks, also which value is which. None for numbers.
        aspect: What of an image is resized.

    Raises:
        ValueError: What `check_images` finds, or targets without a single class, or fewer names than classes.
    """
    images = np.asarray(x)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if task == "generation" and y is None:
        y = np.zeros(len(images), np.int64)
    elif task == "generation":
        task = "classification"
    targets = _arrange(y, task)
    check_images(images, targets, task=task)
    images = as_pixels(images)
    names, targets = _name_classes(targets, task, class_names)
    targets = _cast(targets, task, images.shape[1:3])
    if image_size is not None:
        targets = _resize(targets, task, images.shape[1:3], image_size, aspect)
        images = fit_array(images, image_size, aspect)
    return ImageData(
        name=NAME,
        split=split,
        task=task,
        num_examples=len(images),
        num_classes=len(names),
        class_names=names,
        image_shape=images.shape[1:],
        dtype=images.dtype.name,
        source=Arrays(images, targets),
        aspect=aspect,
    )


def _arrange(y: Any, task: str) -> Targets:
    """The targets as arrays of the right rank, where there is no doubt what is meant."""
    if task == "detection":
        return boxes.arrange(*boxes.parts(y))
    if isinstance(y, dict):
        raise ValueError(f"`y` must be an array for task={task!r}, got a dict: boxes need task='detection'.")
    targets = np.asarray(y)
    if task in values.TASKS:
        return targets
    rank = 3 if task == "segmentation" else 1
    if targets.ndim == rank + 1 and targets.shape[rank] == 1:  # as `keras.datasets.cifar10` has them
        targets = targets[..., 0]
    return targets


def _name_classes(targets: Targets, task: str, names: ClassNames) -> tuple[tuple[str, ...], Targets]:
    """The names of the classes, "0", "1", ... where there are none, and the targets as these classes."""
    if task == "segmentation" and isinstance(targets, np.ndarray):
        classes = mask_classes(values_in(targets), names, where="`y`")
        return classes.names, classes.classes_of(targets)
    if isinstance(names, Mapping) or (names is not None and task in ("generation", "regression")):
        raise ValueError(
            f"`class_names` must be names in the order of the classes, and there must be such, got {names!r} "
            f"for task={task!r}."
        )
    if task in ("generation", "regression"):
        return (), targets
    count = _count_classes(targets)
    if names is not None and len(names) < count:
        raise ValueError(f"`class_names` must name all {count} classes of `y`, got {len(names)} names.")
    return tuple(map(str, range(count)) if names is None else names), targets


def _count_classes(targets: Targets) -> int:
    """The largest class plus one."""
    if isinstance(targets, np.ndarray) and targets.ndim == 2:
        return targets.shape[1]
    values = targets["labels"] if isinstance(targets, dict) else targets
    if values.max() < 0:
        raise ValueError("There are no objects in `y`, so nothing could be learnt from it.")
    return int(values.max()) + 1


def _cast(targets: Targets, task: str, size: tuple[int, int]) -> Targets:
    if isinstance(targets, dict):
        return {
            "boxes_xyxy": boxes.clip(targets["boxes_xyxy"], size),
            "labels": targets["labels"].astype(np.int64, copy=False),
        }
    if task in values.TASKS:
        return targets.astype(np.float32, copy=False)
    return targets.astype(np.uint8 if task == "segmentation" else np.int64, copy=False)


def _resize(
    targets: Targets, task: str, before: tuple[int, int], after: tuple[int, int], aspect: str
) -> Targets:
    if isinstance(targets, dict):
        moved = boxes.move(targets["boxes_xyxy"], targets["labels"], before, after, aspect)
        return dict(zip(("boxes_xyxy", "labels"), moved, strict=True))
    if task == "segmentation":
        masks = targets[..., np.newaxis]
        return fit_array(masks, after, aspect, nearest=True, fill=UNLABELLED)[..., 0]
    return targets
