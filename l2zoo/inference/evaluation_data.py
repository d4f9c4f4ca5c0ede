"""What an exported file is judged on: data that fit it, its classes numbered as the artifact numbers them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from l2zoo.data.images import ImageData
from l2zoo.data.load import load, split_names
from l2zoo.data.provenance import provenance_of
from l2zoo.data.sources.files import FileSource
from l2zoo.data.targets.kind import take
from l2zoo.utils.caller import outside
from l2zoo.utils.validation import first_names

_FOLDER = "folder:"


@dataclass(frozen=True)
class EvaluationData:
    """Images as a model takes them, with targets in the artifact's numbers.

    Attributes:
        data: Where they come from.
        channels: How many the model takes.
        numbers: `(K,)`, the artifact's number of each class of the data; None where there are no classes.
        class_names: Of the artifact; those of the data where it has none.
    """

    data: ImageData
    channels: int
    numbers: np.ndarray | None
    class_names: tuple[str, ...]

    @property
    def targets(self) -> Any:
        """All targets, in the data's own numbers."""
        return self.data.arrays()[1]

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, Any]]:
        """Images `(B, H, W, C)` and targets, in order."""
        for images, targets in self._parts(size):
            yield _in_channels(images, self.channels), self._renumber(targets)

    def image_name(self, number: int) -> str:
        """What to call an image: its file, where it has one."""
        files = getattr(self.data.source, "files", ())
        return str(files[number]) if len(files) == self.data.num_examples else f"#{number}"

    def _parts(self, size: int) -> Iterator[tuple[np.ndarray, Any]]:
        count, source = self.data.num_examples, self.data.source
        parts = [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
        if isinstance(source, FileSource):  # which need no TensorFlow
            yield from map(source.read, parts)
        elif not self.data.in_memory:
            yield from self.data.batches(size).as_numpy_iterator()
        else:
            images, targets = self.data.arrays()
            yield from ((images[rows], take(targets, rows)) for rows in parts)

    def _renumber(self, targets: Any) -> Any:
        if self.numbers is None:
            return targets
        if self.data.task == "multilabel":
            own = np.zeros((len(targets), len(self.class_names)), targets.dtype)
            own[:, self.numbers] = targets
            return own
        if isinstance(targets, Mapping):
            labels = targets["labels"]
            return {**targets, "labels": np.where(labels < 0, labels, self.numbers[labels])}
        if self.data.task == "segmentation":
            table = np.full(256, 255, np.int64)
            table[: len(self.numbers)] = self.numbers
            return table[targets]
        return self.numbers[targets]


def open_data(
    given: Any,
    *,
    task: str,
    image_shape: Sequence[int],
    class_names: Sequence[str],
    split: str | None,
    data_dir: str | os.PathLike[str] | None,
    aspect: str,
) -> EvaluationData:
    """Data for an artifact, checked.

    Args:
        given: An `ImageData`; arrays `(x, y)`; or where images are, as `load` takes it, or a folder's path.
        task: What the data must be for.
        image_shape: `(H, W, C)` that the model takes.
        class_names: Of the artifact.
        split: Of what is read: "test" if None, or the only split that there is.
        data_dir: Folder of TFDS data sets.
        aspect: How what is read is fitted into the model's size, as in training.

    Raises:
        TypeError: `given` is something else.
        ValueError: The data are for another task, of another size, or have other classes.
    """
    size = int(image_shape[0]), int(image_shape[1])
    if isinstance(given, ImageData):
        data = given
    elif isinstance(given, str | os.PathLike):
        names = list(class_names) if task == "segmentation" and class_names else None
        data = _read(given, split, names, task=task, image_size=size, aspect=aspect, data_dir=data_dir)
    elif isinstance(given, tuple | list) and len(given) == 2:
        data = load((given[0], given[1]), split or "given", task=task)
    else:
        raise TypeError(
            "`data` must be an ImageData of `l2zoo.data.load`, arrays (x, y), or where images are, got "
            f"{type(given).__name__}."
        )
    if data.task != task:
        raise ValueError(
            f"`data` must have targets for {task}, got {data.name} for {data.task}: load it with "
            f"task={task!r}."
        )
    if data.image_shape[:2] != size:
        raise ValueError(
            f"`data` must have images of the size that the model takes, {size}, got {data.image_shape[:2]}: "
            f"load it with image_size={size}."
        )
    _check_channels(data, image_shape[2])
    numbers = None if task == "regression" else number_classes(data, class_names)
    return EvaluationData(data, image_shape[2], numbers, tuple(class_names) or data.class_names)


def number_classes(data: ImageData, class_names: Sequence[str]) -> np.ndarray:
    """The artifact's number `(K,)` of each class of some data, found by its name.

    Arrays and masks have numbers and no names: there, and where the artifact has none, numbers are meant.

    Raises:
        ValueError: A class is not among the artifact's; the message shows both lists.
    """
    theirs, ours = [str(name) for name in data.class_names], [str(name) for name in class_names]
    numbers = np.arange(len(theirs))
    nameless = (data.name == "arrays" or data.task == "segmentation") and theirs == [*map(str, numbers)]
    if not ours or (nameless and len(theirs) <= len(ours)):
        return numbers
    unknown = [name for name in theirs if name not in ours]
    if unknown:
        raise ValueError(
            f"`data` must have classes of the artifact, which are {_listed(ours)}, got {_listed(theirs)}: "
            f"{first_names(unknown)} {'is' if len(unknown) == 1 else 'are'} not among them. Call them as the "
            "artifact does, or leave them out."
        )
    return np.array([ours.index(name) for name in theirs], np.int64)


def warn_of_training_data(data: ImageData, trained_on: Mapping[str, Any] | None) -> None:
    """Warns if the manifest says that a model was trained on a part of some data: they prove nothing then."""
    own = provenance_of(data)
    if trained_on is None or own is None or own.name != trained_on["name"]:
        return
    parts = [(name, first, last) for name, first, last in trained_on["parts"]]
    shared = sum(
        max(0, min(last, stop) - max(first, start))
        for name, first, last in parts
        for other, start, stop in data.parts
        if name == other
    )
    if shared:
        warnings.warn(
            f"The model was trained on {own.name} {trained_on['split']}, which shares {shared:,} "
            f"examples with {data.split}, on which it is judged: the figures say how well it remembers them, "
            "not how good it is. Take others.",
            UserWarning,
            stacklevel=outside(),
        )


def _read(
    given: str | os.PathLike[str], split: str | None, mask_names: list[str] | None, **settings: Any
) -> ImageData:
    """What is read by its name; a path is that of a folder.

    Masks in a folder that names no classes are numbered as the artifact numbers them, whichever are there.
    """
    source = str(given)
    if isinstance(given, os.PathLike) or Path(source).expanduser().is_dir():
        source = f"{_FOLDER}{source}"
    if split is None:
        names = list(split_names(source, task=settings["task"], data_dir=settings["data_dir"]))
        split = names[0] if len(names) == 1 else "test"  # of a folder of later images alone it is "train"
    folder = Path(source.removeprefix(_FOLDER)).expanduser()
    if mask_names and source.startswith(_FOLDER) and not (folder / "classes.txt").is_file():
        settings["class_names"] = mask_names
    return load(source, split, **settings)


def _check_channels(data: ImageData, channels: int) -> None:
    found = data.image_shape[2]
    if found != channels and (data.name == "arrays" or {found, channels} != {1, 3}):
        raise ValueError(
            f"`data` must have images of the {channels} channels that the model takes, got {found}."
        )


def _in_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey images in colours, or coloured ones grey, as `Predictor.predict` reads such files."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    pixels = np.rint(images).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in pixels])[..., None]


def _listed(names: Sequence[str]) -> str:
    return f"[{first_names(names, most=20)}]"
