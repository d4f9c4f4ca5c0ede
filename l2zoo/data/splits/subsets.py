"""Which examples to keep and which labels to spoil: pure functions of a seed and of labels or a number."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_choice(limit: Any, seed: Any) -> None:
    """Raises a `ValueError` unless they can say how many examples to keep, or all (`None`), and which."""
    if limit is not None and (
        not isinstance(limit, int | np.integer) or isinstance(limit, bool) or limit < 1
    ):
        raise ValueError(f"`limit` must be an integer of at least 1 or None, got limit={limit!r}.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"`seed` must be an integer of at least 0, got seed={seed!r}.")


def stratified_subset(labels: np.ndarray, size: int, *, seed: int) -> np.ndarray:
    """Chooses examples so that the classes keep their shares.

    Every class that is there keeps at least one example; the rest is shared out by largest remainder.

    Args:
        labels: Labels `(N,)`, integers from 0.
        size: Examples to keep, from the number of classes to N.
        seed: Decides which examples of a class are kept.

    Returns:
        Positions `(size,)`, ascending.

    Raises:
        ValueError: `size` is larger than the data or smaller than the number of classes.
    """
    classes, counts = np.unique(labels, return_counts=True)
    _check_size(size, len(labels))
    if size < len(classes):
        raise ValueError(
            f"`limit` must be at least the number of classes, {len(classes)}, so that each keeps an example, "
            f"got limit={size}."
        )
    shares = _shares(counts, size)
    rng = np.random.default_rng(seed)
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:share]
        for label, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def random_subset(num_examples: int, size: int, *, seed: int) -> np.ndarray:
    """Chooses examples, each as likely as any other.

    Args:
        num_examples: N.
        size: Examples to keep, at most N.
        seed: Decides which.

    Returns:
        Positions `(size,)`, ascending.

    Raises:
        ValueError: `size` is larger than the data.
    """
    _check_size(size, num_examples)
    return np.sort(np.random.default_rng(seed).permutation(num_examples)[:size])


def _check_size(size: int, num_examples: int) -> None:
    if size > num_examples:
        raise ValueError(f"`limit` must be at most the {num_examples} examples there are, got limit={size}.")


def _shares(counts: np.ndarray, size: int) -> np.ndarray:
    """One for every class, then what is left in proportion to what each class has left."""
    left = counts - 1
    exact = (size - len(counts)) * left / max(left.sum(), 1)
    shares = np.floor(exact).astype(np.int64)
    missing = size - len(counts) - shares.sum()
    # A stable sort, so that ties go to the lower class on every platform.
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    return shares + 1


def flip_labels(labels: np.ndarray, share: float, *, num_classes: int, seed: int) -> np.ndarray:
    """Replaces a share of the labels by another class, each other class being equally likely.

    Args:
        labels: Labels `(N,)`, integers in `[0, num_classes)`.
        share: Share of the labels to replace, in [0, 1); `round(share * N)` of them change.
        num_classes: K, at least 2.
        seed: Decides which labels change, and into what.

    Returns:
        A new array `(N,)`, int64.

    Raises:
        ValueError: There is no other class to change into.
    """
    if num_classes < 2:
        raise ValueError(f"`label_noise` needs at least 2 classes, got num_classes={num_classes}.")
    # Apart from the stream that chose the subset, so that noise and subset do not correlate.
    rng = np.random.default_rng([seed, 1])
    flipped = rng.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.astype(np.int64)
    noisy[flipped] = (noisy[flipped] + rng.integers(1, num_classes, len(flipped))) % num_classes
    return noisy
