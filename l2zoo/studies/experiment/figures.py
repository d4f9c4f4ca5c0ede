"""Figures of several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.table import Table


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and its standard error, None of a single value.

    Example:
        >>> mean_and_error([1.0, 3.0])
        (2.0, 1.0)
    """
    mean = float(np.mean(values))
    return mean, float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def table_of(metrics: Mapping[str, Sequence[float]], *, title: str, heading: str = "metric") -> Table:
    """A Rich table of metrics, each with its mean, the standard error of that, and every value."""
    from rich.table import Table

    out = Table(title=title)
    for name in (heading, "mean", "standard error", "each seed"):
        out.add_column(name, justify="left" if name == heading else "right")
    for name, values in metrics.items():
        mean, error = mean_and_error(values)
        each = " ".join(f"{value:.4f}" for value in values)
        out.add_row(name, f"{mean:.4f}", "" if error is None else f"{error:.4f}", each)
    return out
