"""Means and standard errors of a handful of scores, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Collection


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
