"""`load_train_test`: what to train on and what to measure on, which have nothing in common."""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from l2zoo.data.images import ImageData
from l2zoo.data.load import load, split_names
from l2zoo.data.splits import slices
from l2zoo.data.splits.holdout import SHARE, check_holdout, check_one_split
from l2zoo.data.splits.overlap import check_splits, find_overlap, leave_out
from l2zoo.data.videos import VideoData
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.caller import outside

Data = TypeVar("Data", ImageData, VideoData)
Say = Callable[[str, Any], str]


@suggest_arguments
def load_train_test(
    source: str | tuple[ArrayLike, Any],
    *,
    train_split: str | None = None,
    test_split: str | None = None,
    holdout: float | None = None,
    groups: str | os.PathLike[str] | ArrayLike | None = None,
    task: str = "classification",
    data_dir: str | os.PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    aspect: str = "stretch",
    classes: Sequence[str] | None = None,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    limit: int | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
    download: bool = False,
) -> tuple[ImageData, ImageData]:
    """What to train on and what to measure on, which have nothing in common.

    These are the splits "train" and "test"; of data that has "train" alone, 80 % of it and the 20 % that are
    held out. Training examples of which the test set has a copy are left out, with a warning.

    Args:
        source: As for `load`, like all that is not named here.
        train_split: Another split or slice to train on, as in "train[:80%]".
        test_split: Likewise to measure on.
        holdout: The share that is held out of data with one split only; `None` is 0.2 where it is needed.
        groups: What belongs together and stays on one side.
        task: "classification", "segmentation", "detection", ...
        data_dir: Folder of TFDS data sets.
        image_size: `(H, W)` to resize to.
        aspect: What of an image is resized.
        classes: Names of those to keep.
        class_names: Of the classes of masks.
        limit: Keep so many training examples.
        label_noise: Share of the training labels that is made wrong.
        seed: Decides `limit` and `label_noise`, and nothing else: what is held out is always the same.
        download: Whether to fetch a TFDS data set that is not on this machine.

    Raises:
        ValueError: What `load` and `check_splits` raise; a split that is not there.
        FileNotFoundError: As for `load`.

    Example:
        >>> import numpy as np
        >>> x, y = np.arange(640).reshape(10, 8, 8) % 251, np.arange(10) % 2
        >>> train, test = load_train_test((x, y))
        >>> train.num_examples, test.num_examples
        (8, 2)
    """
    names = split_names(source, task=task, data_dir=data_dir, download=download)
    opened = functools.partial(
        load, source, task=task, data_dir=data_dir, image_size=image_size, aspect=aspect, classes=classes,
        class_names=class_names, groups=groups, download=download,
    )  # fmt: skip
    return open_both(
        opened, names, train_split=train_split, test_split=test_split, holdout=holdout,
        source=source if isinstance(source, str) else "arrays",
        limit=limit, label_noise=label_noise, seed=seed,
    )  # fmt: skip


def in_python(name: str, value: Any) -> str:
    """An argument as Python has it."""
    return f"{name}={value!r}"


def in_the_shell(name: str, value: Any) -> str:
    """An option as the command line has it."""
    flag = f"--{name.replace('_', '-')}"
    return f'{flag} "{value}"' if isinstance(value, str) else f"{flag} {value}"


def open_both(
    opened: Callable[..., Data],
    names: Collection[str],
    *,
    train_split: str | None,
    test_split: str | None,
    holdout: float | None,
    source: Any,
    say: Say = in_python,
    **few: Any,
) -> tuple[Data, Data]:
    """What is trained on and what is measured on, which have nothing in common.

    Copies of test images are left out of the training data, with a warning; slices that overlap are refused.

    Args:
        opened: `load` or `load_video` of a source, called with a split and `holdout=`.
        names: The splits that there are.
        train_split: As asked for; `None` is "train".
        test_split: Likewise "test".
        holdout: Likewise; `None` is 0.2 where there is the split "train" alone and no other is asked for.
        source: What to call the data.
        say: How an argument is written for who asked.
        **few: Further arguments for the training data alone, such as `limit`.
    """
    if holdout is None and train_split is None and test_split is None and list(names) == ["train"]:
        holdout = SHARE
    check_holdout(holdout)
    if holdout is not None:
        check_one_split(names, source)
    pair = train_split or "train", test_split or "test"
    for name, split in zip(("train_split", "test_split"), pair, strict=True):
        missing = [one for one in slices.names(split) if one not in names and holdout is None]
        if missing:
            raise ValueError(_of_missing(name, split, missing[0], names, source, say))
    train, test = opened(pair[0], holdout=holdout, **few), opened(pair[1], holdout=holdout)
    found = find_overlap(train, test)
    if found and not found.slices:
        every = train.num_examples
        train = leave_out(train, test)
        warnings.warn(
            f"{every - train.num_examples} of the {every} training examples are in the test set too, as "
            "copies: they are left out.",
            UserWarning,
            stacklevel=outside(),
        )
    check_splits(train, test, step=_step(*pair, names, say))
    return train, test


def _of_missing(name: str, split: str, missing: str, names: Collection[str], source: Any, say: Say) -> str:
    said = f"{say(name, split)}: {source} has no split {missing!r}, only {', '.join(names)}."
    if list(names) == ["train"]:
        halves = f"{say('train_split', 'train[:80%]')} {say('test_split', 'train[80%:]')}"
        return f"{said} Without these, a share of it is held out ({say('holdout', SHARE)}); or say {halves}."
    other = next((one for one in names if one != "train"), "train[80%:]")
    return f"{said} Say {say(name, other if name == 'test_split' else next(iter(names)))}."


def _step(train_split: str, test_split: str, names: Collection[str], say: Say) -> str | None:
    """What to say instead of two splits that overlap; None where they are not of one."""
    common = [name for name in slices.names(test_split) if name in slices.names(train_split)]
    if not common:
        return None
    rest = _rest(test_split)
    if train_split in names and rest:
        return f"train on the rest, {say('train_split', rest)}"
    halves = say("train_split", f"{common[0]}[:80%]"), say("test_split", f"{common[0]}[80%:]")
    return f"take slices that do not overlap, such as {halves[0]} and {halves[1]}"


def _rest(split: str) -> str | None:
    """The other slice, of one that begins at the start or goes to the end."""
    found = re.fullmatch(r"([\w\-.]+)\[([^:\]]*):([^:\]]*)\]", split.replace(" ", ""))
    if not found or bool(found[2]) == bool(found[3]):
        return None
    return f"{found[1]}[:{found[2]}]" if found[2] else f"{found[1]}[{found[3]}:]"
