"""Reads a `tf.data` pipeline of decoded examples into arrays; what cannot be read is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data.checks import check_images
from l2zoo.data.sources.image_files import pixels
from l2zoo.data.targets.targets import Kind, Targets

if TYPE_CHECKING:
    import tensorflow as tf

_CHUNK = 256
_AGAIN = "remove the folder and prepare it again, or repair the data."


@dataclasses.dataclass(frozen=True)
class Reader:
    """What to say when reading fails.

    Attributes:
        words: The data set, its split and where it is.
        files: The image files, where there are such, to name the one that cannot be read.
    """

    words: str
    files: Sequence[Path] = ()

    def arrays_of(self, dataset: tf.data.Dataset) -> Any:
        """The elements of a dataset, as NumPy arrays.

        Raises:
            ValueError: They cannot be read; the message names the file, where there is one.
        """
        import tensorflow as tf

        try:
            yield from dataset.as_numpy_iterator()
        except tf.errors.OpError as error:
            for file in self.files:
                pixels(file)
            reason = error.message.split("\n")[0]
            raise ValueError(f"{self.words} cannot be read ({reason}): {_AGAIN}") from error

    def collected(
        self, examples: tf.data.Dataset, kind: Kind, count: int, image_shape: tuple[int, int, int], dtype: str
    ) -> tuple[np.ndarray, Targets]:
        """All images and targets of a dataset of decoded pairs, checked.

        Args:
            examples: Pairs of an image `(H, W, C)` and its target.
            kind: Of the targets.
            count: Examples that there should be.
            image_shape: `(H, W, C)`.
            dtype: Of the pixels.

        Raises:
            ValueError: There are fewer or they cannot be read, or what `check_images` finds.
        """
        import tensorflow as tf

        x, y = np.empty((count, *image_shape), dtype), kind.empty(count, image_shape)
        filled = 0
        for some in self.arrays_of(examples.batch(_CHUNK).prefetch(2)):
            here = slice(filled, filled + len(some[0]))
            for whole, part in zip(tf.nest.flatten((x, y)), tf.nest.flatten(some), strict=True):
                whole[here] = part
            filled = here.stop
        if filled != count:
            raise ValueError(f"{self.words} holds {filled} examples, but {count} are announced: {_AGAIN}")
        check_images(x, y, task=kind.task, num_classes=len(kind.class_names))
        return x, y
