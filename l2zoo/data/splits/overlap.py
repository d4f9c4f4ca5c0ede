"""What two sets of examples have in common: nothing is measured on what it was trained on.

Found by files, by slices of one data set, by groups, and by equal pixels, whatever their type.
"""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from l2zoo.data.batching import Examples
from l2zoo.data.images import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.data.splits.near_duplicates import near_duplicates
from l2zoo.data.videos import VideoData
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.caller import outside

_PIECE = 256  # images that are hashed at the same time
_SLICES = "take slices that do not overlap, such as {0}[:80%] and {0}[80%:], or load_train_test(source)"
_COPIES = "take them out of `{0}`, as l2zoo.data.leave_out({0}, {1}) does"
_GROUPS = "give all of a group to one side, as load_train_test(source, groups=...) does"

Kept = TypeVar("Kept", ImageData, VideoData)


@dataclasses.dataclass(frozen=True)
class Overlap:
    """What two sets have in common.

    Attributes:
        train: Rows of the one, `(n,)`, of the examples that the other has too; empty where none can be named.
        test: The row of the other that each is equal to, `(n,)`.
        count: How many examples of the other are in the one.
        slices: The split of one data set that both have slices of; empty where there is none.
    """

    train: np.ndarray
    test: np.ndarray
    count: int
    slices: str = ""

    def __bool__(self) -> bool:
        return self.count > 0


@suggest_arguments
def check_splits(
    train: Any, test: Any, *, names: tuple[str, str] = ("train", "test"), step: str | None = None
) -> None:
    """Raises a `ValueError` if examples to measure on are among those to train on, or of one group with such.

    Warns where images are nearly equal, as after another compression or in another size: of at most 20,000
    images a side in memory, of at least 64x64 pixels, since smaller ones that are alike are often different.

    What is in memory is compared by its pixels, whatever their type (uint8, or the same values in float32).
    What stays on the disk is compared by its files, their places and their bytes, and, of a TFDS data set,
    by the slices of it alone: copies in another split of it are not found, nor a file among arrays.

    Args:
        train: What is trained on: what `load` or `load_video` gave, what a task has prepared of it, or
            an array of images `(N, H, W, C)`, or of clips.
        test: Likewise, what is measured on.
        names: What the two are called in messages.
        step: What to do about it; `None` says what usually helps.

    Example:
        >>> x = np.arange(12).reshape(3, 2, 2, 1)
        >>> check_splits(x, np.concatenate([x[1:2], x + 20]).astype("float32"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: `train` and `test` must have nothing in common, but 1 of the 4 examples in `test` ...
    """
    one, other = _examples(train), _examples(test)
    found = find_overlap(one, other)
    if found:
        raise ValueError(_words(one, other, found, names, step))
    _check_groups(one, other, names)
    _warn_of_near_duplicates(one, other, names)


@suggest_arguments
def leave_out(train: Kept, test: Any) -> Kept:
    """The training examples without those that a test set has too, as published data sets have some.

    Args:
        train: What `load` or `load_video` gave, to train on.
        test: What to measure on, as `check_splits` takes it.

    Returns:
        `train` itself where there is nothing to leave out.

    Raises:
        ValueError: Nothing would be left; or both are slices of a data set that is read from the disk.

    Example:
        >>> from l2zoo.data import load
        >>> x = np.arange(16).reshape(4, 2, 2, 1)
        >>> train, test = load((x, [0, 1, 0, 1])), load((x[2:3], [0]), "test")
        >>> leave_out(train, test).num_examples
        3
    """
    found = find_overlap(train, _examples(test))
    if not found:
        return train
    if not len(found.train):
        raise ValueError(
            f"`train` and `test` are slices of {train.name}, which is read from the disk: "
            f"{_SLICES.format(found.slices)}."
        )
    kept = np.setdiff1d(np.arange(train.num_examples), found.train)
    if not len(kept):
        raise ValueError(
            f"All of the {train.num_examples} examples of `train` are in `test`: nothing is left."
        )
    return leave_out(train.select(kept), test)  # files that are the same may have copies besides


def find_overlap(train: Any, test: Any) -> Overlap:
    """What two sets have in common, each an `Examples` or an array of images or clips."""
    if train is test:
        rows = np.arange(train.num_examples if isinstance(train, Examples) else len(train))
        return Overlap(rows, rows, len(rows), _common_slices(train, test)[0])
    slices, count = _common_slices(train, test)
    for keys, last in ((_files, False), (_pixels, True), (_records, True), (_file_bytes, False)):
        pair = keys(train, test)
        if pair is not None:
            found = _common_rows(*pair)
            if found or last:  # of files, copies may have other names
                return dataclasses.replace(found, slices=slices)
    none = np.zeros(0, np.int64)
    return Overlap(none, none, count, slices)


def equal_images(x: np.ndarray) -> np.ndarray:
    """For each image or clip the first row that has the same pixels, `(N,)`; its own where no other has."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(pixel_keys(x))], np.int64)


def pixel_keys(x: np.ndarray) -> Iterator[bytes]:
    """What is equal for two images or clips if and only if their pixels are, whatever their type."""
    for start in range(0, len(x), _PIECE):
        piece = x[start : start + _PIECE]
        if piece.dtype == np.uint8:
            rows = list(piece)
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                small = piece.astype(np.uint8)
            exact = (small == piece).reshape(len(piece), -1).all(axis=1)
            rows = [small[i] if fits else _as_floats(piece[i]) for i, fits in enumerate(exact)]
        for row in rows:
            yield hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _as_floats(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) + np.float32(0)  # where -0 is 0


# ---- What is compared --------------------------------------------------------------------------------------


def _examples(data: Any) -> Any:
    return data.data if isinstance(data, Prepared) else data


def _files(train: Any, test: Any) -> tuple[list, list] | None:
    """Where the image files of both are; None unless both are files."""
    ours, theirs = (getattr(getattr(data, "source", None), "files", None) for data in (train, test))
    if ours is None or theirs is None:
        return None
    return [Path(file).resolve() for file in ours], [Path(file).resolve() for file in theirs]


def _file_bytes(train: Any, test: Any) -> tuple[list, list] | None:
    """A hash of each file that has the size of one on the other side, and else its place."""
    files = _files(train, test)
    if files is None:
        return None
    sizes = [[file.stat().st_size for file in side] for side in files]
    shared = set(sizes[0]) & set(sizes[1])

    def keys(side: int) -> list:
        pairs = zip(files[side], sizes[side], strict=True)
        return [hashlib.blake2b(f.read_bytes()).digest() if n in shared else f for f, n in pairs]

    return keys(0), keys(1)


def _pixels(train: Any, test: Any) -> tuple[list, list] | None:
    """A hash of the pixels of each example; None where one side is not in memory, or the shapes differ."""
    sides = [_array(data) for data in (train, test) if _shape(data) is not None]
    if len(sides) < 2 or _shape(train) != _shape(test):
        return None
    return list(pixel_keys(sides[0])), list(pixel_keys(sides[1]))


def _records(train: Any, test: Any) -> tuple[list, list] | None:
    """The positions of both in one split of a TFDS data set; None where they are not of one split."""
    sources: list[Any] = [getattr(data, "source", None) for data in (train, test)]
    if not all(hasattr(source, "builder") for source in sources) or train.name != test.name:
        return None
    if sources[0].split != sources[1].split:
        return None
    every = [np.arange(s.num_examples) if s.positions is None else s.positions for s in sources]
    return list(every[0]), list(every[1])


def _shape(data: Any) -> tuple[int, ...] | None:
    """The shape of an example that is in memory."""
    if isinstance(data, ImageData):
        return data.image_shape if data.in_memory else None
    return data.clip_shape if isinstance(data, VideoData) else np.shape(data)[1:]


def _array(data: Any) -> np.ndarray:
    if isinstance(data, ImageData):
        return data.arrays()[0]
    return data.arrays() if isinstance(data, VideoData) else np.asarray(data)


def _common_slices(train: Any, test: Any) -> tuple[str, int]:
    """The first split of one data set that both have slices of, and how many examples these share in all."""
    if not (isinstance(train, Examples) and isinstance(test, Examples)) or train.name != test.name:
        return "", 0
    shared = [
        (name, min(last, stop) - max(first, start))
        for name, first, last in train.parts
        for other, start, stop in test.parts
        if name == other and min(last, stop) > max(first, start)
    ]
    return (shared[0][0], sum(count for _, count in shared)) if shared else ("", 0)


def _common_rows(train: Sequence[Any], test: Sequence[Any]) -> Overlap:
    rows: dict[Any, list[int]] = defaultdict(list)
    for row, key in enumerate(train):
        rows[key].append(row)
    pairs = [(one, row) for row, key in enumerate(test) if key in rows for one in rows[key]]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return Overlap(both[:, 0], both[:, 1], len(np.unique(both[:, 1])))


# ---- What is said ------------------------------------------------------------------------------------------


def _words(train: Any, test: Any, found: Overlap, names: tuple[str, str], step: str | None) -> str:
    one, other = names
    count = test.num_examples if isinstance(test, Examples) else len(test)
    said = f"{found.count} of the {count} examples in `{other}` are in `{one}` too"
    if len(found.train):
        files = getattr(getattr(test, "source", None), "files", None)
        file = f", {files[found.test[0]]}," if files else ""
        said += f" (the first: {other}[{found.test[0]}]{file} is {one}[{found.train[0]}])"
    if found.slices:
        said = f"{train.split!r} and {test.split!r} of {train.name} share {found.count} examples: {said}"
    step = step or (_SLICES.format(found.slices) if found.slices else _COPIES.format(one, other))
    return (
        f"`{one}` and `{other}` must have nothing in common, but {said}. What a model is measured on it must "
        f"never have seen: {step}."
    )


def _check_groups(train: Any, test: Any, names: tuple[str, str]) -> None:
    sides = [getattr(data, "groups", None) for data in (train, test)]
    if sides[0] is None or sides[1] is None:
        return
    shared = np.intersect1d(np.asarray(sides[0], str), np.asarray(sides[1], str))
    if len(shared):
        are = "is" if len(shared) == 1 else "are"
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have no group in common, but {len(shared)} {are} in both "
            f"(the first: {shared[0]}): {_GROUPS}."
        )


def _warn_of_near_duplicates(train: Any, test: Any, names: tuple[str, str]) -> None:
    if _shape(train) is None or _shape(train) != _shape(test):
        return
    pairs = near_duplicates(_array(train), _array(test))
    if pairs:
        row, first = pairs[0]
        warnings.warn(
            f"{len(pairs)} of the images in `{names[1]}` look almost like one in `{names[0]}` (the first: "
            f"{names[1]}[{row}] and {names[0]}[{first}]): look whether they are the same photographs, which "
            "would make the figures too good.",
            UserWarning,
            stacklevel=outside(),
        )
