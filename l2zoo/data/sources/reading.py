"""Image files and streams of examples, read into memory; whatever cannot be read is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data.checks import check_images
from l2zoo.data.targets.kind import Kind, Targets

if TYPE_CHECKING:
    import tensorflow as tf

_GRAY_MODES = frozenset({"1", "L", "I", "I;16"})
_CHUNK = 256
_AGAIN = "remove the folder and prepare it again, or repair the data."

Header = tuple[str, tuple[int, int]]
"""Pillow's mode and `(H, W)` of an image file."""


def header(file: Path) -> Header:
    """Pillow's mode and `(H, W)` of an image file, from its first bytes.

    Raises:
        ValueError: It is not a PNG or JPEG image.
    """
    with _open_image(file) as image:
        return image.mode, (image.height, image.width)


def pixels(file: Path) -> np.ndarray:
    """What an image file holds, as Pillow decodes it; of a palette, the numbers of the colours.

    Raises:
        ValueError: It cannot be decoded; the message names the file.
    """
    with _open_image(file) as image:
        try:
            return np.asarray(image)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for broken data
            raise ValueError(f"{file} cannot be decoded ({error}): repair or remove it.") from error


def decode_file(name: Any, channels: int) -> Any:
    """The tensor `(H, W, C)`, uint8, of the image file with this name, in a graph."""
    import tensorflow as tf

    return tf.io.decode_image(tf.io.read_file(name), channels=channels, expand_animations=False)


def channels_of(headers: Iterable[Header]) -> int:
    """C of images with these headers: 1 if all are gray, else 3."""
    return 1 if {mode for mode, _ in headers} <= _GRAY_MODES else 3


def shared_size(headers: dict[Path, Header]) -> tuple[int, int]:
    """`(H, W)` that all image files have.

    Raises:
        ValueError: Two files differ; the message names them.
    """
    first, (_, (height, width)) = next(iter(headers.items()))
    for file, (_, size) in headers.items():
        if size != (height, width):
            raise ValueError(
                f"Images differ in size: {first} is {height}x{width}, {file} is {size[0]}x{size[1]} "
                "(height x width). Pass image_size=(H, W) to resize them."
            )
    return height, width


def _open_image(file: Path) -> Any:
    """Pillow's image of a file, its pixels not decoded yet."""
    from PIL import Image

    try:
        return Image.open(file, formats=("PNG", "JPEG"))
    except OSError as error:
        raise ValueError(f"{file} is not a PNG or JPEG image ({error}): repair or remove it.") from error


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads a `tf.data` pipeline of decoded examples into arrays.

    Attributes:
        words: What to call it when reading fails: the data set, its split and where it is.
        files: The image files, where there are such, to name the one that cannot be read.
    """

    words: str
    files: Sequence[Path] = ()

    def iterate(self, dataset: tf.data.Dataset) -> Iterator[Any]:
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

    def collect(
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
        for some in self.iterate(examples.batch(_CHUNK).prefetch(2)):
            here = slice(filled, filled + len(some[0]))
            for whole, part in zip(tf.nest.flatten((x, y)), tf.nest.flatten(some), strict=True):
                whole[here] = part
            filled = here.stop
        if filled != count:
            raise ValueError(f"{self.words} holds {filled} examples, but {count} are announced: {_AGAIN}")
        check_images(x, y, task=kind.task, num_classes=len(kind.class_names))
        return x, y
