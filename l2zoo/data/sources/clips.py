"""Where the clips of a `VideoData` come from: cut into pieces of one length, of which the wanted are read."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from l2zoo.data import splits
from l2zoo.data.checks import check_pixels
from l2zoo.data.resizing import resized
from l2zoo.data.sources import builders, reading
from l2zoo.data.sources.collecting import Reader

Shape = tuple[int, int, int, int, int]
Parts = tuple[tuple[str, int, int], ...]


class Clips(Protocol):
    """Clips of one length, not read yet."""

    @property
    def shape(self) -> Shape:
        """`(N, T, H, W, C)`."""

    @property
    def parts(self) -> Parts:
        """The split, as an `ImageData` says it, counted in clips as they are stored."""

    def read(self, kept: np.ndarray) -> np.ndarray:
        """The clips at the positions `kept` (ascending), uint8 or float32."""


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayClips:
    """Clips that are an array already, `(N, T, H, W, C)`."""

    x: np.ndarray = dataclasses.field(repr=False)
    parts: Parts = ()

    @property
    def shape(self) -> Shape:
        return self.x.shape

    def read(self, kept: np.ndarray) -> np.ndarray:
        return self.x if len(kept) == len(self.x) else self.x[kept]


@dataclasses.dataclass(frozen=True, eq=False)
class BuilderClips:
    """The clips of one split of a TFDS builder.

    Attributes:
        builder: A prepared `tfds.core.DatasetBuilder`.
        split: A split or slice that the builder knows.
        key: The name of the video among its features.
        frames: T of the pieces.
        image_size: `(H, W)` to resize to, or `None`.
    """

    builder: Any
    split: str
    key: str
    frames: int
    image_size: tuple[int, int] | None

    @property
    def shape(self) -> Shape:
        _, *sides, channels = self._feature.shape
        height, width = self.image_size or sides
        return self._stored * self._pieces, self.frames, height, width, channels

    @property
    def parts(self) -> Parts:
        return tuple(splits.pieces(self.split, self.builder.info.splits))

    def read(self, kept: np.ndarray) -> np.ndarray:
        found = np.empty((len(kept), *self.shape[1:]), np.uint8)
        stored = reading.examples(self.builder, self.split).map(lambda example: example[self.key])
        words, pieces = reading.words(self.builder, self.split), self._pieces
        read = 0
        for clip in Reader(words).arrays_of(stored):
            first = read * pieces
            here = slice(*np.searchsorted(kept, [first, first + pieces]))
            found[here] = frames_resized(
                cut(clip[np.newaxis], self.frames)[kept[here] - first], self.image_size
            )
            read += 1
        if read != self._stored:
            raise ValueError(
                f"{words} holds {read} clips, but {self._stored} are announced: prepare it again."
            )
        return found

    @property
    def _feature(self) -> Any:
        return self.builder.info.features[self.key]

    @property
    def _stored(self) -> int:
        return builders.count(self.builder, self.split, words="clips")

    @property
    def _pieces(self) -> int:
        """How many each stored clip is cut into."""
        return self._feature.shape[0] // self.frames


def from_array(x: np.ndarray, *, image_size: tuple[int, int] | None, frames: int | None) -> ArrayClips:
    """Clips `(N, T, H, W, C)`, checked and cut; integers become uint8, floats float32.

    Raises:
        ValueError: A wrong rank, nothing in it, or NaN, infinite or impossible pixels.
        TypeError: Pixels that are not numbers.
    """
    x = np.asarray(x)
    if x.ndim != 5:
        raise ValueError(f"Clips must have shape (N, T, H, W, C), got shape={x.shape}.")
    if not x.size:
        raise ValueError(f"There are no clips: shape={x.shape}.")
    frames = _piece(frames, x.shape[1])
    check_pixels(x)
    x = x.astype(np.uint8 if np.issubdtype(x.dtype, np.integer) else np.float32, copy=False)
    return ArrayClips(frames_resized(cut(x, frames), image_size))


def from_builder(
    builder: Any, split: str, *, image_size: tuple[int, int] | None, frames: int | None
) -> BuilderClips:
    """The clips of a split of a prepared builder.

    Raises:
        ValueError: The split is not there or empty, or there is not one 8-bit video of fixed size an example.
    """
    key = _video_key(builder)
    frames = _piece(frames, builder.info.features[key].shape[0])
    return BuilderClips(builder, split, key, frames, image_size)


def frames_resized(clips: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Clips `(N, T, h, w, C)` with frames of another size `(H, W)`; None keeps it."""
    if size is None or size == clips.shape[2:4]:
        return clips
    import tensorflow as tf

    with tf.device("CPU"):
        found = [resized(tf.convert_to_tensor(clip), size).numpy() for clip in clips]
    return np.array(found, clips.dtype).reshape(-1, clips.shape[1], *size, clips.shape[4])


def cut(clips: np.ndarray, frames: int) -> np.ndarray:
    """Pieces of clips, each clip's one after another, without its last `T % frames` frames.

    Args:
        clips: `(N, T, H, W, C)`.
        frames: Of a piece, at most T.

    Returns:
        `(N * (T // frames), frames, H, W, C)`.
    """
    pieces = clips.shape[1] // frames
    return clips[:, : pieces * frames].reshape(-1, frames, *clips.shape[2:])


def _piece(frames: int | None, length: int) -> int:
    """T of the pieces of clips of some length."""
    if length < 2:
        raise ValueError(f"A clip must have at least 2 frames, got {length}: pass single images to `load`.")
    if frames is not None and frames > length:
        raise ValueError(f"`frames` must be at most the {length} frames of a clip, got frames={frames}.")
    return frames or length


def _video_key(builder: Any) -> str:
    """The name of the only 8-bit video of fixed size, or of that called "video"."""
    found = [key for key, feature in builder.info.features.items() if _is_video(feature)]
    if "video" in found:
        return "video"
    if len(found) != 1:
        raise ValueError(
            f"{builder.name} is not one 8-bit video (T, H, W, C) of fixed size an example: its features are "
            f"{', '.join(sorted(builder.info.features))}. Pass what you want of it as an array "
            "(N, T, H, W, C)."
        )
    return found[0]


def _is_video(feature: Any) -> bool:
    shape = feature.shape  # of features with parts, a dict
    return isinstance(shape, tuple) and len(shape) == 4 and None not in shape and feature.np_dtype == np.uint8
