"""Where the clips of a `VideoData` come from: an array, TFDS, or folders of numbered frames.

All are cut into pieces of one length, of which only those that are wanted are read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from l2zoo.data.batching import WORKERS
from l2zoo.data.checks import as_pixels, check_images_or_clips
from l2zoo.data.preprocessing.pixels import read_header
from l2zoo.data.preprocessing.resizing import resize, resize_array
from l2zoo.data.sources import tfds
from l2zoo.data.sources.class_folders import bare_splits, split_folders
from l2zoo.data.sources.inventory import (
    SUFFIX_WORDS,
    existing_folder,
    images_in,
    subfolders,
    warn_left_out,
)
from l2zoo.data.sources.reading import Reader, channels_of, common_size, decode_file, dtype_of
from l2zoo.data.splits import slices
from l2zoo.utils.validation import first_names

_LAYOUTS = "PATH/train/CLIP/0001.png (and PATH/test/CLIP/...), or PATH/CLIP/0001.png, or PATH/0001.png"
_NUMBER = re.compile(r"(\d+)\D*$")

Shape = tuple[int, int, int, int, int]
Parts = tuple[tuple[str, int, int], ...]


class Clips(Protocol):
    """Clips of one length, not read yet."""

    @property
    def shape(self) -> Shape:
        """`(N, T, H, W, C)`."""

    @property
    def dtype(self) -> str:
        """Of the pixels, "uint8" or "float32"."""

    @property
    def parts(self) -> Parts:
        """The split, as an `ImageData` says it, counted in clips as they are stored."""

    def read(self, positions: np.ndarray) -> np.ndarray:
        """The clips at some positions (ascending), uint8 or float32."""


# ---- Arrays ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayClips:
    """Clips that are an array already, `(N, T, H, W, C)`."""

    x: np.ndarray = dataclasses.field(repr=False)
    parts: Parts = ()

    @property
    def shape(self) -> Shape:
        return self.x.shape

    @property
    def dtype(self) -> str:
        return self.x.dtype.name

    def read(self, positions: np.ndarray) -> np.ndarray:
        return self.x if len(positions) == len(self.x) else self.x[positions]


def from_array(x: np.ndarray, *, image_size: tuple[int, int] | None, frames: int | None) -> ArrayClips:
    """Clips `(N, T, H, W, C)`, checked and cut; integers become uint8, floats float32.

    Raises:
        ValueError: A wrong rank, nothing in it, or NaN, infinite or impossible pixels.
        TypeError: Pixels that are not numbers.
    """
    x = np.asarray(x)
    check_images_or_clips(x, clips=True)
    frames = _piece_length(frames, x.shape[1])
    return ArrayClips(resize_array(cut(as_pixels(x), frames), image_size))


# ---- TFDS --------------------------------------------------------------------------------------------------


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
    dtype: ClassVar[str] = "uint8"

    @property
    def shape(self) -> Shape:
        _, *sides, channels = self._feature.shape
        height, width = self.image_size or sides
        return self._stored * self._pieces, self.frames, height, width, channels

    @property
    def parts(self) -> Parts:
        return tuple(slices.pieces(self.split, self.builder.info.splits))

    def read(self, positions: np.ndarray) -> np.ndarray:
        found = np.empty((len(positions), *self.shape[1:]), np.uint8)
        stored = tfds.examples(self.builder, self.split).map(lambda example: example[self.key])
        words, pieces = tfds.describe(self.builder, self.split), self._pieces
        read = 0
        for clip in Reader(words).iterate(stored):
            first = read * pieces
            here = slice(*np.searchsorted(positions, [first, first + pieces]))
            wanted = cut(clip[np.newaxis], self.frames)[positions[here] - first]
            found[here] = resize_array(wanted, self.image_size)
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
        return tfds.count(self.builder, self.split, words="clips")

    @property
    def _pieces(self) -> int:
        """How many each stored clip is cut into."""
        return self._feature.shape[0] // self.frames


def from_builder(
    builder: Any, split: str, *, image_size: tuple[int, int] | None, frames: int | None
) -> BuilderClips:
    """The clips of a split of a prepared builder.

    Raises:
        ValueError: The split is not there or empty, or there is not one 8-bit video of fixed size an example.
    """
    key = _video_key(builder)
    frames = _piece_length(frames, builder.info.features[key].shape[0])
    return BuilderClips(builder, split, key, frames, image_size)


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


# ---- Folders -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class FolderClips:
    """Clips in files of one frame each.

    Attributes:
        words: What to call them when one cannot be read.
        files: The T frames of each of N clips.
        frame_shape: `(H, W, C)`.
        resize: Whether frames are resized to it; otherwise they must have it.
        dtype: Of the pixels.
        parts: Of the split.
    """

    words: str
    files: list[list[Path]] = dataclasses.field(repr=False)
    frame_shape: tuple[int, int, int]
    resize: bool
    dtype: str
    parts: Parts

    @property
    def shape(self) -> Shape:
        return len(self.files), len(self.files[0]), *self.frame_shape

    def read(self, positions: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        def decode(name: tf.Tensor) -> tf.Tensor:
            frame = decode_file(name, self.frame_shape[2], self.dtype)
            if self.resize:
                frame = resize(frame, self.frame_shape[:2])
            return tf.ensure_shape(frame, self.frame_shape)

        files = [file for position in positions for file in self.files[position]]
        frames = tf.data.Dataset.from_tensor_slices([str(file) for file in files])
        stored = frames.map(decode, num_parallel_calls=WORKERS).batch(self.shape[1]).prefetch(2)
        found = np.empty((len(positions), *self.shape[1:]), self.dtype)
        for position, clip in enumerate(Reader(self.words, files).iterate(stored)):
            found[position] = clip
        return found


def from_folder(
    source: str, split: str, *, image_size: tuple[int, int] | None, frames: int | None
) -> FolderClips:
    """The clips of a folder, with one channel where the frames of all splits are gray, else three.

    Args:
        source: "folder:PATH"; `~` is the home folder. `PATH/SPLIT/CLIP/0001.png` has the splits its folders
            name; `PATH/CLIP/0001.png` has the one split "train". Without folders of clips, each split, or
            `PATH` itself, is one clip.
        split: A split or slice of it, counted in folders.
        image_size: `(H, W)` to resize frames to, or `None`.
        frames: Cut clips into pieces of so many frames; `None` wants clips of one length.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No clips; a clip that is too short; a frame without a number, or, without `image_size`, of
            another size; a split that is not there; a file that is not an image.
    """
    root, bare, places = _find(source, slices.names(split))
    slices.check_names(split, places, where=root)
    clips = {
        each: [_number_frames(clip) for clip in ([folder] if bare else subfolders(folder))]
        for each, folder in places.items()
    }
    counts = {each: len(some) for each, some in clips.items()}
    headers = {file: read_header(file) for some in clips.values() for clip in some for file in clip}
    warn_left_out(root, headers, images="outside of the folders of clips, or deeper in one")
    chosen = [
        clips[each][position] for each, positions in slices.shuffle(split, counts) for position in positions
    ]
    if not chosen:
        raise ValueError(f"There are no clips in split={split!r} of {root}.")
    size, resized = common_size(headers, image_size)
    return FolderClips(
        f"{source} {split}",
        _cut_files(chosen, frames),
        (*size, channels_of(headers.values())),
        resize=resized,
        dtype=dtype_of(headers),
        parts=tuple(slices.pieces(split, counts)),
    )


def split_names(source: str) -> list[str]:
    """The names of the splits of a folder of clips."""
    return sorted(_find(source, ("train",))[2])


def _find(source: str, asked: Iterable[str]) -> tuple[Path, dict[str, Path], dict[str, Path]]:
    """The folder; the splits that are one clip each, if all that are asked for are; and all splits."""
    root = existing_folder(source, layouts=_LAYOUTS)
    bare = bare_splits(root, asked)
    places = bare or split_folders(root, layouts=_LAYOUTS)
    if not places:
        raise ValueError(f"There are no frames ({SUFFIX_WORDS}) in folders of {root}: expected {_LAYOUTS}.")
    return root, bare, places


def _number_frames(folder: Path) -> list[Path]:
    """The frames of a clip by the last number in their names, so that 10 follows 9 without leading zeros."""
    frames: dict[int, Path] = {}
    for file in images_in(folder):
        number = _NUMBER.search(file.stem)
        if number is None:
            raise ValueError(f"The frame {file} has no number in its name to give it a place: rename it.")
        other = frames.setdefault(int(number[1]), file)
        if other is not file:
            raise ValueError(f"The frames {other} and {file} have one number: keep one of them.")
    if not frames:
        raise ValueError(f"There are no frames ({SUFFIX_WORDS}) in the clip {folder}: fill or remove it.")
    return [frames[number] for number in sorted(frames)]


def _cut_files(clips: list[list[Path]], frames: int | None) -> list[list[Path]]:
    shortest, longest = (choose(clips, key=len) for choose in (min, max))
    if frames is None and len(shortest) != len(longest):
        raise ValueError(
            f"Clips differ in length: {shortest[0].parent} has {len(shortest)} frames, {longest[0].parent} "
            f"has {len(longest)}. Pass frames=... to cut them into pieces of one length."
        )
    least = frames or max(2, len(longest))
    short = [f"{clip[0].parent} ({len(clip)})" for clip in clips if len(clip) < least]
    if short:
        names = first_names(sorted(short))
        raise ValueError(f"Clips must have at least {least} frames, but these have fewer: {names}.")
    return [clip[start : start + least] for clip in clips for start in range(0, len(clip) - least + 1, least)]


# ---- Pieces ------------------------------------------------------------------------------------------------


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


def _piece_length(frames: int | None, length: int) -> int:
    """T of the pieces of clips of some length."""
    if length < 2:
        raise ValueError(f"A clip must have at least 2 frames, got {length}: pass single images to `load`.")
    if frames is not None and frames > length:
        raise ValueError(f"`frames` must be at most the {length} frames of a clip, got frames={frames}.")
    return frames or length
