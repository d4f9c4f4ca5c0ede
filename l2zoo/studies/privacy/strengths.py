"""Audits over strengths: the images divided by chance, and a model trained and attacked at each strength."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.studies.privacy.privacy_audit import privacy_audit
from l2zoo.studies.privacy.result import PrivacyReport
from l2zoo.utils.validation import check_number, whole_number

Images = tuple[np.ndarray, np.ndarray]


def members_and_others(data: ImageData, images: int, *, seed: int = 0) -> tuple[Images, Images]:
    """So many images to train on and as many that are never shown, by chance: they differ in nothing else.

    Args:
        data: All images. Those of a group are on one side.
        images: How many on each side.
        seed: Of the division.

    Returns:
        Images and labels of the members, and of the others.

    Raises:
        ValueError: There are not twice as many, or not as many in other groups.
    """
    whole_number("images", images, at_least=1)
    x, y = data.arrays()
    if 2 * images > len(x):
        raise ValueError(
            f"`images` must be at most {len(x) // 2}, half of what there is, got images={images}."
        )
    order = np.random.default_rng(seed).permutation(len(x))
    members, others = order[:images], order[images:]
    if data.groups is not None:
        members, others = _apart(data.groups, order, images)
    if len(others) < images:
        raise ValueError(
            f"`images` must leave as many others, got images={images} and {len(others)} of other groups."
        )
    others = others[:images]
    return (x[members], y[members]), (x[others], y[others])


def audit_strengths(
    build: Callable[[float], keras.Model],
    members: Images,
    others: Images,
    *,
    strengths: Sequence[float],
    epochs: int,
    batch_size: int = 32,
    references: int = 8,
    seed: int = 0,
    directory: str | Path | None = None,
    verbose: bool = True,
) -> Iterator[tuple[float, PrivacyReport]]:
    """Trains a classifier at each strength and attacks it, one after another, from the weakest.

    Args:
        build: `build(l2)` gives the compiled model with this strength of L2.
        members: Images and labels to train on.
        others: Those that are not shown.
        strengths: In the convention of `build`.
        epochs: Of each training.
        batch_size: Images in a step.
        references: As for `privacy_audit`, for each strength.
        seed: Of initial weights and reference models.
        directory: Where finished reference models are kept; `None` for nowhere.
        verbose: Whether to show progress, on stderr.

    Yields:
        The strength, and what its model gives away.

    Raises:
        ValueError: What `privacy_audit` raises.
    """
    for l2 in sorted({check_number("strengths", strength) for strength in strengths}):
        keras.utils.set_random_seed(seed)
        model = build(l2)
        model.fit(*members, epochs=epochs, batch_size=batch_size, verbose=0)
        folder = None if directory is None else Path(directory) / f"references_{l2:g}"
        yield (
            l2,
            privacy_audit(
                model, members, others, build=functools.partial(build, l2), epochs=epochs,
                batch_size=batch_size, references=references, seed=seed, directory=folder, verbose=verbose,
            ),
        )  # fmt: skip


def _apart(groups: np.ndarray, order: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """So many rows, group after group in the order of their first rows, and those of other groups."""
    _, first, numbers = np.unique(groups[order], return_index=True, return_inverse=True)
    order = order[np.argsort(first[numbers], kind="stable")]
    members = order[:images]
    return members, order[~np.isin(groups[order], groups[members])]
