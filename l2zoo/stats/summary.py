"""Means and standard errors of a handful of scores, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


def mean(scores: Collection[float]) -> float:
    """The mean; NaN of nothing."""
    return math.fsum(scores) / len(scores) if scores else math.nan


def standard_error(scores: Collection[float]) -> float:
    """The standard error of the mean: the standard deviation over the root of the count; NaN below two."""
    if len(scores) < 2:
        return math.nan
    center = mean(scores)
    squares = math.fsum((score - center) ** 2 for score in scores)
    return math.sqrt(squares / (len(scores) - 1) / len(scores))


def standard_error_of_folds(scores: Mapping[tuple[int, int], float]) -> float:
    """The standard error of the mean of scores on the folds of several seeds; NaN of a single score.

    `sqrt(mean over the seeds of s**2 / K)`: of one seed glmnet's `cvsd`. Other seeds divide the same images
    anew, or train on the same folds again; they are no other images, so they do not divide it further. Scores
    of one fold a seed, as on a test set, have the standard error of independent ones.

    Args:
        scores: By (seed, fold).

    Example:
        >>> round(standard_error_of_folds({(0, 0): 1.0, (0, 1): 3.0, (1, 0): 1.0, (1, 1): 3.0}), 3)
        1.0
    """
    seeds: dict[int, list[float]] = {}
    for (seed, _), score in scores.items():
        seeds.setdefault(seed, []).append(score)
    if all(len(some) < 2 for some in seeds.values()):
        return standard_error(scores.values())
    return math.sqrt(mean([standard_error(some) ** 2 for some in seeds.values() if len(some) > 1]))


def mean_and_error(scores: Collection[float]) -> tuple[float, float | None]:
    """The mean and its standard error, None of a single score.

    Example:
        >>> mean_and_error([1.0, 3.0]), mean_and_error([1.0])
        ((2.0, 1.0), (1.0, None))
    """
    return mean(scores), standard_error(scores) if len(scores) > 1 else None


def sign_of(mode: str) -> int:
    """1 where more is better, -1 where less is."""
    if mode not in ("max", "min"):
        raise ValueError(f"`mode` must be 'max' (accuracy) or 'min' (loss), got mode={mode!r}.")
    return 1 if mode == "max" else -1
