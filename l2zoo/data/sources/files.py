"""`FileSource`: images in files, whatever lies beside them, read as they are needed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from l2zoo.data.batching import WORKERS
from l2zoo.data.images import ImageData
from l2zoo.data.preprocessing.aspect import Size
from l2zoo.data.preprocessing.pixels import Header, read_file, read_values
from l2zoo.data.preprocessing.resizing import fit, fit_pixels
from l2zoo.data.sources.reading import Reader, channels_of, common_size, decode_file, dtype_of
from l2zoo.data.splits import slices
from l2zoo.data.targets.boxes import Boxes, move, move_in_graph, per_side, scale
from l2zoo.data.targets.kind import FileKind, Targets, concatenate, take
from l2zoo.data.targets.mask_classes import MaskClasses
from l2zoo.data.targets.masks import UNLABELLED, Masks

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """The image files of one split, by name.

    Attributes:
        headers: Of each file.
        stored: Their targets, as the kind decodes them.
    """

    headers: dict[Path, Header]
    stored: Targets


class Contents(NamedTuple):
    """What a folder offers for a task.

    Attributes:
        found: The files of every split.
        kind: Of their targets.
        others: Further files that were read, such as those of annotations.
    """

    found: dict[str, SplitFiles]
    kind: FileKind
    others: tuple[Path, ...] = ()


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
        aspect: What of an image is resized.
        dtype: Of the pixels.
    """

    words: str
    files: tuple[Path, ...] = dataclasses.field(repr=False)
    stored: Targets = dataclasses.field(repr=False)
    kind: FileKind
    image_shape: tuple[int, int, int]
    resize: bool
    aspect: str
    dtype: str

    def labels(self) -> np.ndarray:
        if self.kind.task != "classification":
            raise TypeError(f"Files for {self.kind.task} have no label an image.")
        return cast(np.ndarray, self.stored)

    def select(self, positions: np.ndarray, labels: np.ndarray | None = None) -> FileSource:
        files = tuple(self.files[position] for position in positions)
        stored = take(self.stored, positions) if labels is None else labels
        return dataclasses.replace(self, files=files, stored=stored)

    def records(self) -> tf.data.Dataset:
        """Pairs of the name of an image file and its stored target."""
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(([str(file) for file in self.files], self.stored))

    def decode(self, encoded: Any, stored: Any) -> tuple[Any, Any]:
        """The image `(H, W, C)` and its target, checked as far as a stream can."""
        image, target = self._decode(encoded, stored)
        return image, self.kind.guard(target)

    def _decode(self, name: Any, stored: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        image = decode_file(name, self.image_shape[2], self.dtype)
        target = self.kind.decode(stored, tf.shape(image)[:2], self.image_shape[:2], self.aspect)
        if self.resize:
            image = fit(image, self.image_shape[:2], self.aspect)
        return tf.ensure_shape(image, self.image_shape), target

    def read(self, positions: np.ndarray) -> tuple[np.ndarray, Targets]:
        """Images `(B, H, W, C)` and targets at some positions, by NumPy and Pillow alone.

        They are those of `arrays`, but for a half that is rounded to the other side where one is resized.
        """
        size, channels, stored = self.image_shape[:2], self.image_shape[2], take(self.stored, positions)
        images, before = np.empty((len(positions), *self.image_shape), self.dtype), []
        for row, position in enumerate(positions):
            image = read_file(self.files[position], channels=channels).astype(self.dtype, copy=False)
            before.append((image.shape[0], image.shape[1]))
            images[row] = fit_pixels(image, size, self.aspect) if self.resize else image
        return images, self.kind.read(stored, before, size, self.aspect)

    def arrays(self) -> tuple[np.ndarray, Targets]:
        pairs = self.records().map(self._decode, num_parallel_calls=WORKERS)
        reader = Reader(self.words, self.files)
        return reader.collect(pairs, self.kind, len(self.files), self.image_shape, self.dtype)


@dataclasses.dataclass(frozen=True)
class MaskFiles(Masks):
    """PNG files whose values stand for classes; of a palette, the numbers of its colours.

    Attributes:
        classes: Which value is which.
    """

    classes: MaskClasses

    def decode(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        import tensorflow as tf

        def read(name: bytes) -> np.ndarray:
            return self.classes.classes_of(read_values(Path(os.fsdecode(name))))

        mask = tf.numpy_function(read, [stored], tf.uint8, stateful=False)
        return self.fit(tf.ensure_shape(mask, (None, None))[..., None], before, after, aspect)

    def read(self, stored: Any, before: Sequence[tuple[int, int]], after: Size, aspect: str) -> np.ndarray:
        masks = [self.classes.classes_of(read_values(Path(os.fsdecode(name)))) for name in stored]
        return np.stack([fit_pixels(m, after, aspect, nearest=True, fill=UNLABELLED) for m in masks])


@dataclasses.dataclass(frozen=True)
class PixelBoxes(Boxes):
    """Boxes that are padded already, in pixels of the image as it is stored."""

    def decode(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        import tensorflow as tf

        if aspect != "stretch":
            return move_in_graph(stored, before, after, aspect)
        factor = tf.constant(after, tf.float32) / tf.cast(before, tf.float32)
        return {"boxes_xyxy": stored["boxes_xyxy"] * per_side(factor), "labels": stored["labels"]}

    def read(
        self, stored: Any, before: Sequence[tuple[int, int]], after: Size, aspect: str
    ) -> dict[str, np.ndarray]:
        rows = zip(stored["boxes_xyxy"], stored["labels"], before, strict=True)
        if aspect == "stretch":
            moved = [(scale(box, size, after), labels) for box, labels, size in rows]
        else:
            moved = [move(box, labels, size, after, aspect) for box, labels, size in rows]
        return {
            "boxes_xyxy": np.stack([box for box, _ in moved]).astype(np.float32),
            "labels": np.stack([labels for _, labels in moved]).astype(np.int64),
        }


def from_files(
    found: dict[str, SplitFiles],
    kind: FileKind,
    *,
    name: str,
    root: Path,
    split: str,
    image_size: tuple[int, int] | None,
    aspect: str = "stretch",
) -> ImageData:
    """The images of a split, with one channel where the images of all splits are gray, else three.

    Args:
        found: The files of every split.
        kind: Of their targets.
        name: What to call the data.
        root: Where it is.
        split: A split or slice of it.
        image_size: `(H, W)` to resize to, or `None`.
        aspect: What of an image is resized.

    Raises:
        ValueError: The split is empty, or the sizes differ and no `image_size` is given.
    """
    counts = {each: len(some.headers) for each, some in found.items()}
    files: list[Path] = []
    stored = []
    # Images in class folders have the order that `tfds.ImageFolder` gives them.
    for each, positions in slices.shuffle(split, counts, backwards=kind.task == "classification"):
        names = list(found[each].headers)
        files += [names[position] for position in positions]
        stored.append(take(found[each].stored, positions))
    if not files:
        raise ValueError(f"There are no images in split={split!r} of {root}.")
    headers = {file: header for some in found.values() for file, header in some.headers.items()}
    size, resized = common_size(headers, image_size)
    shape, dtype = (*size, channels_of(headers.values())), dtype_of(headers)
    words, targets = f"{name} {split}", concatenate(stored)
    source = FileSource(words, tuple(files), targets, kind, shape, resized, aspect, dtype)
    return ImageData(
        name=name,
        split=split,
        task=kind.task,
        num_examples=len(files),
        num_classes=len(kind.class_names),
        class_names=kind.class_names,
        image_shape=shape,
        dtype=dtype,
        source=source,
        parts=tuple(slices.pieces(split, counts)),
        aspect=aspect,
    )
