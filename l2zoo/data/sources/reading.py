"""Image files and streams of examples, read into memory; whatever cannot be read is named."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.data.checks import check_images
from l2zoo.data.preprocessing import pixels
from l2zoo.data.preprocessing.pixels import Header
from l2zoo.data.targets.kind import Kind, Targets
from l2zoo.utils.caller import outside

if TYPE_CHECKING:
    import tensorflow as tf

LONGER_SIDE = 224
"""Pixels that the longer side gets at most where images differ in size and nobody says to what to resize."""

_DARK = 255 / 8  # of which 16-bit values stay below that were measured with 10 or 12 bits
_ROUND = 32  # the deepest stride of the models
_CHUNK = 256
_AGAIN = "remove the folder and prepare it again, or repair the data."


def decode_file(name: Any, image_channels: int, dtype: str) -> Any:
    """The tensor `(H, W, C)` of the image file with this name, in a graph."""
    import tensorflow as tf

    def read(name: bytes) -> np.ndarray:
        return pixels.read_file(Path(os.fsdecode(name)), channels=image_channels).astype(dtype, copy=False)

    image = tf.numpy_function(read, [name], dtype, stateful=False)
    return tf.ensure_shape(image, (None, None, image_channels))


def channels_of(headers: Iterable[Header]) -> int:
    """C of images with these headers: 1 if all are gray, else 3."""
    return 1 if all(header.is_gray for header in headers) else 3


def dtype_of(headers: Mapping[Path, Header]) -> str:
    """Of the pixels of image files: "float32" where one has 16 bits, else "uint8".

    Warns where the brightest of all with 16 bits is nearly black, as of cameras of 10 and 12 bits.
    """
    deep = [file for file, header in headers.items() if header.deep]
    brightest = 0.0
    for file in deep:
        brightest = max(brightest, float(pixels.read_file(file, channels=1).max()))
        if brightest >= _DARK:  # and the other files need not be read
            break
    if deep and brightest < _DARK:
        value = round(brightest * 65535 / 255)
        bits = max(value.bit_length(), 8)
        warnings.warn(
            f"The brightest value of all 16-bit images, such as {deep[0]}, is {value} of 65535: these look "
            f"like values of {bits} bits, of which a model would see black. Multiply them by "
            f"{2 ** (16 - bits)} and write them again, or pass them as arrays in [0, 255].",
            UserWarning,
            stacklevel=outside(),
        )
    return "float32" if deep else "uint8"


def common_size(
    headers: Mapping[Path, Header], image_size: tuple[int, int] | None
) -> tuple[tuple[int, int], bool]:
    """`(H, W)` that images are given out with, and whether they are resized for it.

    That is `image_size`; or the size that all have; or, with a warning, the median of their heights and of
    their widths, with the longer side at most `LONGER_SIDE` and sides from 64 on in multiples of 32, as the
    models take them.

    Args:
        headers: Of the images of all splits, which are to be given out alike.
        image_size: `(H, W)`, or None.
    """
    sizes = {header.size: file for file, header in headers.items()}
    if image_size is not None or len(sizes) == 1:
        return image_size or next(iter(sizes)), image_size is not None
    median = np.median([header.size for header in headers.values()], axis=0).tolist()
    size = tuple(_rounded(side * min(1, LONGER_SIDE / max(median))) for side in median)
    (first, one), (second, other) = list(sizes.items())[:2]
    warnings.warn(
        f"Images differ in size: {one} is {first[0]}x{first[1]}, {other} is {second[0]}x{second[1]} (height "
        f"x width). All are resized to {size[0]}x{size[1]}, about the median. Pass image_size=({size[0]}, "
        f"{size[1]}), or another (H, W), to say so.",
        UserWarning,
        stacklevel=outside(),
    )
    return (size[0], size[1]), True


def _rounded(side: float) -> int:
    return round(side / _ROUND) * _ROUND if side >= 2 * _ROUND else max(1, round(side))


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
                pixels.read_file(file, channels=1)
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
