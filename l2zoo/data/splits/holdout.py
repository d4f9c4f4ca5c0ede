"""A test set for data that has none: a share that is held out, always the same one."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

from l2zoo.data.images import ImageData
from l2zoo.data.splits import slices

SHARE = 0.2
SEED = 0
"""Of what is held out, whatever other seeds there are: what one model is tested on, none is trained on."""

_PARTS = 20  # into which groups are divided before some of the parts are held out


def check_holdout(holdout: Any) -> None:
    """Raises a `ValueError` unless it is a share of the examples, or None."""
    number = isinstance(holdout, float | np.floating)
    if holdout is not None and not (number and 0 < holdout < 1):
        raise ValueError(
            f"`holdout` must be a share in (0, 1), such as 0.2, or None, got holdout={holdout!r}."
        )


def check_one_split(names: Collection[str], source: Any) -> None:
    """Raises a `ValueError` unless data has the one split "train", of which something can be held out."""
    if list(names) != ["train"]:
        raise ValueError(
            f"`holdout` is for data without a test split of its own, but {source} has {', '.join(names)}: "
            "leave it out, and take these."
        )


def part_of(data: ImageData, split: str, share: float) -> ImageData:
    """What a split means of data of which a share is held out as "test".

    Args:
        data: All there is.
        split: "train", "test", or slices of them.
        share: In (0, 1): in classification that of every class, and of whole groups where there are such.
    """
    held = held_out_rows(data, share)
    rows = {"train": np.setdiff1d(np.arange(data.num_examples), held), "test": held}
    slices.check_names(split, rows, where=f"{data.name} with holdout={share:g}")
    parts = slices.pieces(split, {name: len(some) for name, some in rows.items()})
    chosen = np.sort(np.concatenate([rows[name][start:stop] for name, start, stop in parts]))
    if not len(chosen):
        raise ValueError(f"There are no images in split={split!r} of {data.name} with holdout={share:g}.")
    return dataclasses.replace(data.select(chosen), split=split, parts=tuple(parts), holdout=share)


def slice_of_clips(split: str, share: float) -> str:
    """The slice of "train" that "train" or "test" means of clips, in whole per cent: they are shuffled."""
    first = min(max(round(100 * (1 - share)), 1), 99)
    found = {"train": f"train[:{first}%]", "test": f"train[{first}%:]"}
    if split not in found:
        raise ValueError(f"`split` must be train or test with `holdout`, got split={split!r}.")
    return found[split]


def held_out_rows(data: ImageData, share: float) -> np.ndarray:
    """The rows `(n,)` that are held out, ascending, at least one on each side.

    Raises:
        ValueError: There is only one example, or only one group.
    """
    labels = data.source.labels() if data.task == "classification" else np.zeros(data.num_examples, np.int64)
    if data.groups is not None:
        return _of_groups(labels, data.groups, share)
    rng = np.random.default_rng(SEED)
    held = [rng.permutation(rows)[: _size(len(rows), share)] for rows in _by_class(labels)]
    found = np.sort(np.concatenate(held))
    if not len(found):
        raise ValueError(f"`holdout` needs two images of a class at least, got {data.num_examples} in all.")
    return found


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _size(count: int, share: float) -> int:
    """At least one on each side, where there are two; a single example is trained on."""
    return min(max(round(count * share), 1), count - 1)


def _of_groups(labels: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(np.unique(groups))
    if count < 2:
        raise ValueError(f"`holdout` needs two groups at least, got {count}: look at `groups`.")
    largest = int(np.bincount(labels).max())
    if largest * share < 1:  # classes of so few images cannot be divided along
        labels, largest = np.zeros_like(labels), len(labels)
    splitter = StratifiedGroupKFold(min(count, largest, _PARTS), shuffle=True, random_state=SEED)
    with warnings.catch_warnings():  # whole groups cannot give every part every class
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = [held for _, held in splitter.split(labels, labels, groups)]
    sizes = np.cumsum([len(rows) for rows in parts])[:-1]
    most = int(np.abs(sizes - share * len(labels)).argmin()) + 1
    return np.sort(np.concatenate(parts[:most]))
