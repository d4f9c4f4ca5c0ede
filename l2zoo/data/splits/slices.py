"""What a split such as "train[:80%]+test" means, in TFDS's own reading of the words."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from l2zoo.data.sources import tfds
from l2zoo.utils.validation import did_you_mean


def pieces(split: str, splits: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """The name of a split, the first example and the one after the last, for each summand.

    Of whole splits this needs no TFDS.

    Args:
        split: Splits or slices of them, with `+` between them.
        splits: The number of examples of each split, or a `tfds.core.SplitDict`.
    """
    counts = {name: one if isinstance(one, int) else one.num_examples for name, one in splits.items()}
    whole = [name.strip() for name in split.split("+")]
    if all(name in counts for name in whole):
        return [(name, 0, counts[name]) for name in whole]
    found = []
    read = tfds.import_tfds().core.ReadInstruction.from_spec(split)
    for part in read.to_absolute(splits if counts != splits else _split_dict(counts)):
        stop = counts[part.splitname] if part.to is None else part.to
        found.append((part.splitname, part.from_ or 0, stop))
    return found


def shuffle(split: str, counts: dict[str, int], *, backwards: bool = False) -> list[tuple[str, np.ndarray]]:
    """The name of a split and positions in it, for each summand of a split of named files or folders.

    A split has one order, which is shuffled: names often follow the classes, and a slice should have all.

    Args:
        split: Splits or slices of them, with `+` between them.
        counts: The number of examples of each split.
        backwards: Whether the order is gone through from its end, which is that of `tfds.ImageFolder`.
    """
    found = []
    for name, start, stop in pieces(split, counts):
        order = random.Random(name).sample(range(counts[name]), counts[name])
        if backwards:
            order.reverse()
        found.append((name, np.array(order[start:stop], np.int64)))
    return found


def _split_dict(counts: Mapping[str, int]) -> Any:
    """A `tfds.core.SplitDict` of the numbers of examples of each split."""
    from tensorflow_datasets.core.splits import SplitDict, SplitInfo

    return SplitDict(
        [SplitInfo(name=name, shard_lengths=[count], num_bytes=0) for name, count in counts.items()]
    )


def names(split: str) -> list[str]:
    """The names of the splits that a split such as "train[:80%]+test" speaks of."""
    return re.findall(r"(?:^|\+)\s*(\w[\w\-.]*)", split)


def check_names(split: str, splits: dict[str, Any], *, where: Any) -> None:
    """Raises a `ValueError` unless a split speaks of splits that are there."""
    for name in names(split):
        if name not in splits:
            raise ValueError(
                f"`split` must name one of {', '.join(sorted(splits))} in {where}, got {split!r}."
                f"{did_you_mean(name, splits)}"
            )
