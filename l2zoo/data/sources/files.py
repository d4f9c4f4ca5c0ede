"""Image files with masks, boxes or nothing beside them, read as they are needed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data import splits as slices
from l2zoo.data.batching import WORKERS
from l2zoo.data.images import ImageData
from l2zoo.data.resizing import resized
from l2zoo.data.sources.collecting import Reader
from l2zoo.data.sources.image_files import GRAY_MODES, shared_size
from l2zoo.data.targets.targets import Kind, Targets, joined, rows

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """The image files of one split, by name.

    Attributes:
        headers: Pillow's mode and `(H, W)` of each file.
        stored: Their targets, as the kind decodes them.
    """

    headers: dict[Path, tuple[str, tuple[int, int]]]
    stored: Targets


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource:
    """Image files and their targets.

    Attributes:
        words: What to call them when one cannot be read.
        files: N image files.
        stored: Their targets, as `kind` decodes them.
        kind: Of the targets.
        image_shape: `(H, W, C)` of the images given out.
        resize: Whether images are resized to it; otherwise they must have it.
    """

    words: str
    files: tuple[Path, ...] = dataclasses.field(repr=False)
    stored: Targets = dataclasses.field(repr=False)
    kind: Kind
    image_shape: tuple[int, int, int]
    resize: bool

    def labels(self) -> np.ndarray:
        raise TypeError(f"Files for {self.kind.task} have no label an image.")

    def select(self, kept: np.ndarray, labels: np.ndarray | None = None) -> FileSource:
        """The examples at the positions `kept`."""
        files = tuple(self.files[position] for position in kept)
        return dataclasses.replace(self, files=files, stored=rows(self.stored, kept))

    def records(self) -> tf.data.Dataset:
        """Pairs of the name of an image file and its stored target."""
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(([str(file) for file in self.files], self.stored))

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """The image `(H, W, C)` and its target, checked as far as a stream can."""
        image, target = self._decoded(encoded, stored)
        return image, self.kind.guarded(target)

    def _decoded(self, name: Any, stored: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        image = tf.io.decode_image(
            tf.io.read_file(name), channels=self.image_shape[2], expand_animations=False
        )
        target = self.kind.decode(stored, tf.shape(image)[:2], self.image_shape[:2])
        if self.resize:
            image = resized(image, self.image_shape[:2])
        return tf.ensure_shape(image, self.image_shape), target

    def arrays(self) -> tuple[np.ndarray, Targets]:
        """All images `(N, H, W, C)` and targets, checked."""
        pairs = self.records().map(self._decoded, num_parallel_calls=WORKERS)
        reader = Reader(self.words, self.files)
        return reader.collected(pairs, self.kind, len(self.files), self.image_shape, "uint8")


def from_files(
    splits: dict[str, SplitFiles],
    kind: Kind,
    *,
    name: str,
    root: Path,
    split: str,
    image_size: tuple[int, int] | None,
) -> ImageData:
    """The images of a split, with one channel where the images of all splits are gray, else three.

    Args:
        splits: The files of every split.
        kind: Of their targets.
        name: What to call the data.
        root: Where it is.
        split: A split or slice of it.
        image_size: `(H, W)` to resize to, or `None`.

    Raises:
        ValueError: The split is not there or empty, or the sizes differ and no `image_size` is given.
    """
    slices.check_names(split, splits, where=root)
    counts = {each: len(some.headers) for each, some in splits.items()}
    files, stored = _chosen(splits, counts, split, root)
    modes = {mode for some in splits.values() for mode, _ in some.headers.values()}
    sizes = {file: size for some in splits.values() for file, (_, size) in some.headers.items()}
    height, width = image_size or shared_size({file: sizes[file] for file in files})
    shape = (height, width, 1 if modes <= GRAY_MODES else 3)
    return ImageData(
        name=name,
        split=split,
        task=kind.task,
        num_examples=len(files),
        num_classes=len(kind.class_names),
        class_names=kind.class_names,
        image_shape=shape,
        dtype="uint8",
        source=FileSource(
            f"{name} {split}", tuple(files), stored, kind, shape, resize=image_size is not None
        ),
        parts=tuple(slices.pieces(split, slices.split_dict(counts))),
    )


def _chosen(
    splits: dict[str, SplitFiles], counts: dict[str, int], split: str, root: Path
) -> tuple[list[Path], Targets]:
    """The files and targets of a split in their order."""
    files, stored = [], []
    for name, kept in slices.shuffled(split, counts):
        names = list(splits[name].headers)
        files += [names[position] for position in kept]
        stored.append(rows(splits[name].stored, kept))
    if not files:
        raise ValueError(f"There are no images in split={split!r} of {root}.")
    return files, joined(stored)
