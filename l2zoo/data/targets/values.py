"""Targets that are numbers: those to be predicted, and several labels an image. Arrays alone have them."""

from __future__ import annotations

from typing import Any

import numpy as np

TASKS = ("regression", "multilabel")


def check(y: Any, task: str) -> None:
    """Raises unless targets are numbers `(N,)` or `(N, D)`, or several labels `(N, K)`, each 0 or 1.

    Raises:
        TypeError: They are no numbers.
        ValueError: Another shape; NaN or infinity; labels that are neither 0 nor 1.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "buif":
        raise TypeError(f"`y` must hold numbers for task={task!r}, got dtype={y.dtype}.")
    ranks, shape = ((1, 2), "(N,) or (N, D)") if task == "regression" else ((2,), "(N, K)")
    if y.ndim not in ranks or not y.size:
        raise ValueError(f"`y` must have shape {shape} for task={task!r}, got shape={y.shape}.")
    if not np.isfinite(y).all():
        first = next(i for i, target in enumerate(y) if not np.isfinite(target).all())
        raise ValueError(f"`y` must be finite, but example {first} is not: drop or mend it.")
    if task == "multilabel" and not np.isin(y, (0, 1)).all():
        raise ValueError(f"`y` must be 0 or 1 for task='multilabel', got {y[~np.isin(y, (0, 1))][0]}.")
