"""`load`: images with targets by name, from folders or from arrays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.data import checks
from l2zoo.data.images import ImageData
from l2zoo.data.preprocessing.aspect import ASPECTS
from l2zoo.data.sources import arrays, folders, tfds, tfds_images
from l2zoo.data.splits import subsets
from l2zoo.data.splits.groups import find_groups
from l2zoo.data.splits.holdout import check_holdout, check_one_split, part_of
from l2zoo.data.targets import values
from l2zoo.data.targets.mask_classes import check_class_names
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import did_you_mean, one_of

_KINDS = "a TFDS name such as 'mnist', 'folder:PATH' or arrays (x, y)"


@suggest_arguments
def load(
    source: str | tuple[ArrayLike, Any],
    split: str = "train",
    *,
    task: str = "classification",
    data_dir: str | os.PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    aspect: str = "stretch",
    classes: Sequence[str] | None = None,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    limit: int | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
    holdout: float | None = None,
    groups: str | os.PathLike[str] | ArrayLike | None = None,
    download: bool = False,
) -> ImageData:
    r"""Opens images with their targets; nothing is downloaded unless you say so.

    Args:
        source: One of

            - the name of a TFDS data set that has what the task needs: "mnist", "cifar10", "mnist:3.0.1",
              "oxford_iiit_pet", "voc/2012", "coco/2017". Some need no download, as scikit-learn ships what
              they are made of: "l2zoo_digits", 1,797 handwritten digits, for classification;
              "l2zoo_photos", 4,500 crops of two photographs, for generators; and "l2zoo_scenes", 5,000
              scenes of digits on photographs, for segmentation and detection, of 64x64 pixels
              ("l2zoo_scenes/96": of 96x96). With scikit-image (`pip install "l2zoo[photos]"`):
              "l2zoo_faces", 200 grey patches, faces or not, for classification; "l2zoo_photos/apart_32"
              and "l2zoo_scenes/apart_64", of seven photographs, others for testing than for training;
            - "folder:PATH". Classification: `PATH/train/CLASS/image.png` (and other splits), or
              `PATH/CLASS/image.png`, which is the split "train". Segmentation: `PATH/train/images/NAME.jpg`
              with `PATH/train/masks/NAME.png`, or the same without `train/`. Detection:
              `PATH/train/annotations.json` in COCO's format with the images beside it or in
              `PATH/train/images`, or the same without `train/`; or, as COCO itself is laid out,
              `PATH/annotations/instances_train.json` with the images in `PATH/train`. Generation: as in
              classification, or, without classes, `PATH/train/image.png`, or `PATH/image.png`. Images are
              PNG, JPEG, WebP, BMP or GIF, and are read upright by their EXIF orientation; boxes and masks are
              those of the upright image. Gray of 16 bits gives float32. What is left out of a folder is said;
            - arrays `(x, y)`: images `(N, H, W, C)` or `(N, H, W)` with pixels in [0, 255], of which
              integers become uint8 and floats float32; and labels `(N,)` or `(N, 1)`, masks `(N, H, W)` or
              `(N, H, W, 1)`, or a dict of `boxes_xyxy` and `labels`: arrays `(N, M, 4)` and `(N, M)`, or
              lists of an array `(n, 4)` and `(n,)` an image. For generation `y` may be None. For regression
              numbers `(N,)` or `(N, D)`; for several labels an image `(N, K)`, each 0 or 1.
        split: A split or slice in the words of TFDS: "test", "train[:80%]", "train[1000:]". Arrays
            have none: it only names what they are.
        task: "classification", "segmentation", "detection" or "generation", and for arrays "regression" or
            "multilabel"; `ImageData` says what the targets are. For generation they are those of
            classification where there are classes.
        data_dir: Folder of TFDS data sets; `None` is TFDS's own default (TFDS_DATA_DIR, else
            ~/tensorflow_datasets). Only for names.
        image_size: `(H, W)` to resize to, bilinearly; masks by the nearest pixel, and boxes with their image.
            `None` keeps the size, if it is the same for all images; else those of a folder are resized to
            about their median size, with a warning.
        aspect: What becomes of images of another aspect than `image_size` has, as in Keras's
            `image_dataset_from_directory`: "stretch" resizes height and width apart; "crop" takes the largest
            part in the middle that has the aspect; "pad" puts the image in the middle of black. Boxes and
            masks follow: what is padded is not labelled, and boxes end where the image is cropped.
        classes: Names of those to keep, numbered in this order; `None` keeps all. Only for classification.
        class_names: Names for the classes of masks and of arrays, in their order; of masks also a dict
            {value: name}, which says what the values in the files mean: {0: "road", 255: "car"}. `None` takes
            the numbers or, in a folder of masks, what lies there in `classes.txt`: a name a line, or lines
            of VALUE NAME. Without names the values of masks must be 0, 1, ... without a gap.
        limit: Keep so many examples, chosen by the seed; in classification the classes keep their shares.
        label_noise: Share of the labels, in [0, 1), that is replaced by another class at random, to
            show overfitting. Leave it at 0 for test data. Only for classification.
        seed: Decides `limit` and `label_noise`, and nothing else.
        holdout: A share in (0, 1) of data that has one split only, which becomes its split "test", the rest
            being "train": in classification that share of each class, and whole `groups`. It is the same
            share of the same examples every time, whatever the seed. `load_train_test` does it by itself.
        groups: What belongs together, such as all images of a patient: for a folder a regular expression with
            one group, searched in each file's path from the folder on, as in `r"patient(\d+)"`, or the path
            of a CSV table with the columns `file` and `group`; for arrays the groups `(N,)`. `holdout`
            and folds keep groups together.
        download: Whether to fetch a TFDS data set that is not on this machine.

    Returns:
        The images, checked as far as that is possible without reading them all; `arrays` and
        `batches` check the rest.

    Raises:
        ValueError: An argument out of range, an unknown name or split, or bad data.
        FileNotFoundError: A folder or data set that is not there; the message says how to provide it.

    Example:
        >>> data = load((np.zeros((10, 8, 8)), np.arange(10) % 2), limit=4)
        >>> data.num_examples, data.num_classes, data.image_shape, data.dtype
        (4, 2, (8, 8, 1), 'float32')
    """
    checks.check_task(task)
    one_of("aspect", aspect, ASPECTS)
    subsets.check_choice(limit, seed)
    check_holdout(holdout)
    _check_arguments(task, classes, label_noise)
    size, names = checks.check_size(image_size), check_class_names(class_names)
    if task in values.TASKS and isinstance(source, str):
        raise ValueError(
            f"`source` must be arrays (x, y) for task={task!r}, got {source!r}: no folder or data set says "
            "which of its numbers are meant. Read them, and give load((x, y), task=...)."
        )
    if holdout is not None:
        there = split_names(source, task=task, data_dir=data_dir, download=download)
        check_one_split(there, source if isinstance(source, str) else "arrays")
    whole = split if holdout is None else "train"
    if isinstance(source, str) and source.startswith("folder:"):
        data = folders.from_folder(
            source, whole, task=task, image_size=size, class_names=names, aspect=aspect
        )
    elif isinstance(source, str):
        _check_no_names(source, names)
        builder = tfds.open_builder(source, data_dir=data_dir, download=download)
        data = tfds_images.from_builder(builder, source, whole, task=task, image_size=size, aspect=aspect)
    elif isinstance(source, tuple | list) and len(source) == 2:
        data = arrays.from_arrays(
            *source, split=whole, task=task, image_size=size, class_names=names, aspect=aspect
        )
    else:
        raise checks.source_error(source, _KINDS)
    if groups is not None:
        data = dataclasses.replace(data, groups=find_groups(data, groups))
    if holdout is not None:
        data = part_of(data, split, holdout)
    if classes is not None:
        data = _select_classes(data, [str(name) for name in classes])
    if limit is not None or label_noise:
        data = data.select(_choose(data, limit or data.num_examples, seed))
    return _flip_labels(data, label_noise, seed) if label_noise else data


def split_names(
    source: Any,
    *,
    task: str = "classification",
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> list[str]:
    """The names of the splits that a source of `load` has, for a task; "train" alone of arrays."""
    if not isinstance(source, str):
        return ["train"]
    checks.check_task(task)
    if source.startswith("folder:"):
        return folders.split_names(source, task=task)
    builder = tfds.open_builder(source, data_dir=data_dir, download=download)
    return [name for name, split in builder.info.splits.items() if split.num_examples]


@suggest_arguments
def divided(data: ImageData, size: int, *, seed: int = 0) -> tuple[ImageData, ImageData | None]:
    """Some examples, those that `load(..., limit=size, seed=seed)` keeps, and the others.

    Args:
        data: What `load` gives.
        size: How many to keep, at least 1.
        seed: Decides which.

    Returns:
        Both parts, in the order of `data`; None for the others if there are none.

    Raises:
        ValueError: `size` is larger than the data, or smaller than the number of classes.

    Example:
        >>> some, others = divided(load((np.zeros((10, 8, 8)), np.arange(10) % 2)), 4)
        >>> some.num_examples, others.num_examples
        (4, 6)
    """
    subsets.check_choice(size, seed)
    positions = _choose(data, size, seed)
    others = np.setdiff1d(np.arange(data.num_examples), positions)
    return data.select(positions), data.select(others) if len(others) else None


def _check_arguments(task: str, classes: Any, label_noise: float) -> None:
    if not 0 <= label_noise < 1:
        raise ValueError(f"`label_noise` must be in [0, 1), got label_noise={label_noise}.")
    if label_noise and task != "classification":
        raise ValueError(
            f"`label_noise` must be 0 for task={task!r}, got label_noise={label_noise}: only the labels of "
            "classification can be spoilt."
        )
    if classes is not None and (task != "classification" or isinstance(classes, str)):
        raise ValueError(f"`classes` must be names, and only for classification, got classes={classes!r}.")


def _check_no_names(source: str, class_names: Any) -> None:
    if class_names is not None:
        raise ValueError(
            f"`class_names` must be None for a data set by name, which names its classes itself, got "
            f"{class_names!r} for {source!r}."
        )


def _select_classes(data: ImageData, names: list[str]) -> ImageData:
    unknown = [name for name in names if name not in data.class_names]
    if unknown or len(set(names)) < max(len(names), 2):
        raise ValueError(
            f"`classes` must be at least two different ones of {list(data.class_names[:20])}, got "
            f"classes={names}.{did_you_mean(unknown[0], data.class_names) if unknown else ''}"
        )
    numbers = {data.class_names.index(name): number for number, name in enumerate(names)}
    labels = data.source.labels()
    positions = np.flatnonzero(np.isin(labels, list(numbers)))
    renumbered = np.array([numbers[label] for label in labels[positions]], np.int64)
    data = dataclasses.replace(data, num_classes=len(names), class_names=tuple(names))
    return data.select(positions, renumbered)


def _choose(data: ImageData, size: int, seed: int) -> np.ndarray:
    """The positions of so many examples; the classes keep their shares."""
    if data.task != "classification":
        return subsets.random_subset(data.num_examples, size, seed=seed)
    labels = data.source.labels()
    if labels.min() < 0:
        raise ValueError(f"{data.name} {data.split} has examples without a label (-1): choose another split.")
    return subsets.stratified_subset(labels, size, seed=seed)


def _flip_labels(data: ImageData, share: float, seed: int) -> ImageData:
    labels = subsets.flip_labels(data.source.labels(), share, num_classes=data.num_classes, seed=seed)
    return data.select(np.arange(len(labels)), labels)
