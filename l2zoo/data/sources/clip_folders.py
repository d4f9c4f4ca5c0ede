"""Folders of clips, each a folder of numbered frames, checked so that what is wrong is named."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np

from l2zoo.data import splits as slices
from l2zoo.data.batching import WORKERS
from l2zoo.data.resizing import resized
from l2zoo.data.sources.clips import Parts, Shape
from l2zoo.data.sources.collecting import Reader
from l2zoo.data.sources.image_files import (
    GRAY_MODES,
    SUFFIXES,
    bare_splits,
    header,
    images_in,
    shared_size,
    split_folders,
    subfolders,
)

_LAYOUTS = "PATH/train/CLIP/0001.png (and PATH/test/CLIP/...), or PATH/CLIP/0001.png, or PATH/0001.png"
_NUMBER = re.compile(r"(\d+)\D*$")


@dataclasses.dataclass(frozen=True, eq=False)
class FolderClips:
    """Clips in files of one frame each.

    Attributes:
        words: What to call them when one cannot be read.
        files: The T frames of each of N clips.
        frame_shape: `(H, W, C)`.
        resize: Whether frames are resized to it; otherwise they must have it.
        parts: Of the split.
    """

    words: str
    files: list[list[Path]] = dataclasses.field(repr=False)
    frame_shape: tuple[int, int, int]
    resize: bool
    parts: Parts

    @property
    def shape(self) -> Shape:
        return len(self.files), len(self.files[0]), *self.frame_shape

    def read(self, kept: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        def decoded(name: tf.Tensor) -> tf.Tensor:
            encoded = tf.io.read_file(name)
            frame = tf.io.decode_image(encoded, channels=self.frame_shape[2], expand_animations=False)
            if self.resize:
                frame = resized(frame, self.frame_shape[:2])
            return tf.ensure_shape(frame, self.frame_shape)

        files = [file for position in kept for file in self.files[position]]
        frames = tf.data.Dataset.from_tensor_slices([str(file) for file in files])
        stored = frames.map(decoded, num_parallel_calls=WORKERS).batch(self.shape[1]).prefetch(2)
        found = np.empty((len(kept), *self.shape[1:]), np.uint8)
        for position, clip in enumerate(Reader(self.words, files).arrays_of(stored)):
            found[position] = clip
        return found


def open_folder(
    path: str, name: str, split: str, *, image_size: tuple[int, int] | None, frames: int | None
) -> FolderClips:
    """The clips of a folder, with one channel where the frames of all splits are gray, else three.

    Args:
        path: The folder; `~` is the home folder. `path/SPLIT/CLIP/0001.png` has the splits its folders name;
            `path/CLIP/0001.png` has the one split "train". Without folders of clips, each split, or `path`
            itself, is one clip.
        name: What to call the data.
        split: A split or slice of it, counted in folders.
        image_size: `(H, W)` to resize frames to, or `None`.
        frames: Cut clips into pieces of so many frames; `None` wants clips of one length.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No clips; a clip that is too short; a frame without a number, or, without `image_size`, of
            another size; a split that is not there; a file that is not an image.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: `source` 'folder:PATH' needs {_LAYOUTS}.")
    bare = bare_splits(root, slices.names(split))
    splits = bare or split_folders(root)
    if not splits:
        raise ValueError(
            f"There are no frames ({', '.join(SUFFIXES)}) in folders of {root}: expected {_LAYOUTS}."
        )
    slices.check_names(split, splits, where=root)
    clips = {
        each: [_numbered(clip) for clip in ([folder] if bare else subfolders(folder))]
        for each, folder in splits.items()
    }
    counts = {each: len(some) for each, some in clips.items()}
    headers = {file: header(file) for some in clips.values() for clip in some for file in clip}
    chosen = [
        clips[each][position] for each, positions in slices.shuffled(split, counts) for position in positions
    ]
    if not chosen:
        raise ValueError(f"There are no clips in split={split!r} of {root}.")
    height, width = image_size or shared_size({file: headers[file][1] for clip in chosen for file in clip})
    channels = 1 if {mode for mode, _ in headers.values()} <= GRAY_MODES else 3
    return FolderClips(
        f"{name} {split}",
        _pieces(chosen, frames),
        (height, width, channels),
        resize=image_size is not None,
        parts=tuple(slices.pieces(split, slices.split_dict(counts))),
    )


def _numbered(folder: Path) -> list[Path]:
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
        raise ValueError(
            f"There are no frames ({', '.join(SUFFIXES)}) in the clip {folder}: fill or remove it."
        )
    return [frames[number] for number in sorted(frames)]


def _pieces(clips: list[list[Path]], frames: int | None) -> list[list[Path]]:
    shortest, longest = (choose(clips, key=len) for choose in (min, max))
    if frames is None and len(shortest) != len(longest):
        raise ValueError(
            f"Clips differ in length: {shortest[0].parent} has {len(shortest)} frames, {longest[0].parent} "
            f"has {len(longest)}. Pass frames=... to cut them into pieces of one length."
        )
    least = frames or max(2, len(longest))
    short = [f"{clip[0].parent} ({len(clip)})" for clip in clips if len(clip) < least]
    if short:
        names = ", ".join(sorted(short)[:5]) + (f" and {len(short) - 5} more" if len(short) > 5 else "")
        raise ValueError(f"Clips must have at least {least} frames, but these have fewer: {names}.")
    return [clip[start : start + least] for clip in clips for start in range(0, len(clip) - least + 1, least)]
