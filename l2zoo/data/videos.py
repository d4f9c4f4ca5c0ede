"""`load_video` and `VideoData`: checked clips, as one array or as batches in a reproducible order."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

import numpy as np

from l2zoo.data import batching, checks
from l2zoo.data.sources import clips, tfds
from l2zoo.data.splits import subsets
from l2zoo.data.splits.holdout import check_holdout, check_one_split, slice_of_clips
from l2zoo.utils.arguments import suggest_arguments

_KINDS = "a TFDS name such as 'l2zoo_moving_digits', 'folder:PATH' or an array (N, T, H, W, C)"


@dataclasses.dataclass(frozen=True, eq=False)
class VideoData(batching.Examples):
    """Clips of one length and size, in memory; `l2zoo.data.load_video` makes it.

    Attributes:
        name: Name of the data set, such as "l2zoo_moving_digits".
        split: The split it was asked for, such as "train[:80%]".
        clips: `(N, T, H, W, C)`, uint8 or float32 in [0, 255].
        license: Of the data, in the words of its TFDS builder; empty where nobody says.
        parts: As those of an `ImageData`, counted in clips as they are stored.
    """

    clips: np.ndarray = dataclasses.field(repr=False)

    @property
    def num_examples(self) -> int:
        """N."""
        return len(self.clips)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """`(T, H, W, C)`."""
        return self.clips.shape[1:]

    @property
    def dtype(self) -> str:
        """Of the pixels, "uint8" or "float32"."""
        return self.clips.dtype.name

    def select(self, positions: np.ndarray) -> VideoData:
        """The clips at some positions `(n,)`, ascending."""
        return dataclasses.replace(self, clips=self.clips[positions])

    def arrays(self) -> np.ndarray:
        """All clips `(N, T, H, W, C)`; not a copy."""
        return self.clips


@suggest_arguments
def load_video(
    source: str | np.ndarray,
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    frames: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    holdout: float | None = None,
    download: bool = False,
) -> VideoData:
    """Reads clips of one length and size into memory; nothing is downloaded unless you say so.

    Args:
        source: One of

            - the name of a TFDS data set with an 8-bit video of fixed size. One needs no download, as
              scikit-learn ships what it is made of: "l2zoo_moving_digits" (32 pixels) or
              "l2zoo_moving_digits/64", 2,400 clips of two digits that move;
            - "folder:PATH", with a folder of numbered frames a clip: `PATH/train/CLIP/0001.png` (and other
              splits), or `PATH/CLIP/0001.png`, which is the split "train". Where there are no folders below,
              a split, or `PATH` itself, is one clip: `PATH/train/0001.png` or `PATH/0001.png`. PNG and JPEG;
            - an array `(N, T, H, W, C)` with pixels in [0, 255]; integers become uint8, floats float32.
        split: A split or slice in the words of TFDS: "test", "train[:80%]", counted in clips as they are
            stored. An array has none: it only names what it is.
        data_dir: Folder of TFDS data sets; `None` is TFDS's own default (TFDS_DATA_DIR, else
            ~/tensorflow_datasets). Only for names.
        image_size: `(H, W)` to resize frames to, bilinearly, without cropping. `None` keeps the size, which
            must be the same for all frames.
        frames: Cut clips into pieces of so many frames, at least 2, one after another; what is left at the
            end is dropped. `None` keeps the length, which must be the same for all clips.
        limit: Keep so many clips, or pieces, chosen by the seed.
        seed: Decides `limit`, and nothing else.
        holdout: A share in (0, 1) of clips with one split only, in whole per cent, that becomes their split
            "test"; the same clips every time, all pieces of a clip on one side.
        download: Whether to fetch a TFDS data set that is not on this machine.

    Raises:
        ValueError: An argument out of range, an unknown name or split, clips that are too short or differ in
            size, pixels that are none, or more than `batching.MEMORY_LIMIT` bytes of them.
        FileNotFoundError: A folder or data set that is not there; the message says how to provide it.

    Example:
        >>> data = load_video(np.zeros((3, 20, 16, 16, 1), np.uint8), frames=8)
        >>> data.num_examples, data.clip_shape, data.dtype
        (6, (8, 16, 16, 1), 'uint8')
    """
    _check_frames(frames)
    size = checks.check_size(image_size)
    subsets.check_choice(limit, seed)
    check_holdout(holdout)
    asked = split
    if holdout is not None:
        check_one_split(video_split_names(source, data_dir=data_dir, download=download), source)
        split = slice_of_clips(split, holdout)
    found: clips.Clips
    license = ""  # noqa: A001 - what it is called in the data too
    if isinstance(source, str) and source.startswith("folder:"):
        found = clips.from_folder(source, split, image_size=size, frames=frames)
    elif isinstance(source, str):
        builder = tfds.open_builder(source, data_dir=data_dir, download=download)
        found = clips.from_builder(builder, split, image_size=size, frames=frames)
        license = tfds.license_of(builder)  # noqa: A001
    elif hasattr(source, "__array__"):
        found = clips.from_array(source, image_size=size, frames=frames)
    else:
        raise checks.source_error(source, _KINDS)
    num_examples, *clip_shape = found.shape
    positions = np.arange(num_examples)
    if limit is not None:
        positions = subsets.random_subset(num_examples, limit, seed=seed)
    name = source if isinstance(source, str) else "arrays"
    if isinstance(source, str):
        needed = len(positions) * math.prod(clip_shape) * np.dtype(found.dtype).itemsize
        batching.check_memory(f"{name} {split}", needed, "load it with `limit=`")
    return VideoData(name, asked, found.read(positions), license=license, parts=found.parts, holdout=holdout)


def video_split_names(
    source: Any, *, data_dir: str | os.PathLike[str] | None = None, download: bool = False
) -> list[str]:
    """The names of the splits that a source of `load_video` has; none of an array, which has no slices."""
    if not isinstance(source, str):
        return []
    if source.startswith("folder:"):
        return clips.split_names(source)
    return list(tfds.open_builder(source, data_dir=data_dir, download=download).info.splits)


def _check_frames(frames: Any) -> None:
    if frames is not None and (
        not isinstance(frames, int | np.integer) or isinstance(frames, bool) or frames < 2
    ):
        raise ValueError(f"`frames` must be an integer of at least 2 or None, got frames={frames!r}.")
