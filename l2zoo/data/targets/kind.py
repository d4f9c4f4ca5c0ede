"""What belongs to every image: a class, a mask, boxes or nothing, each a kind of targets.

A kind knows the form in which one source keeps its targets; what comes out is the same for all sources. What
they share is in `labels`, `masks` and `boxes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Targets = np.ndarray | dict[str, np.ndarray]
"""Labels or numbers `(N,)`, rows of them `(N, K)`, masks `(N, H, W)`, or a dict of `boxes_xyxy` `(N, M, 4)`
and `labels` `(N, M)`.
"""

TASKS = ("classification", "segmentation", "detection", "generation", "regression", "multilabel")


class Kind(Protocol):
    """One kind of targets, as one kind of source keeps it."""

    @property
    def task(self) -> str:
        """One of `TASKS`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names."""

    def decode(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Any:
        """The target of one image that had the size `before` `(H, W)` and is given out with `after`.

        `aspect` is one of `l2zoo.data.preprocessing.aspect.ASPECTS`.
        """

    def guard(self, target: Any) -> Any:
        """The target, in a graph that fails on what a stream can see to be wrong."""

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> Targets:
        """Arrays to be filled with the targets of so many images."""


class FileKind(Kind, Protocol):
    """One kind of targets that lie in files, which can be read without TensorFlow."""

    def read(self, stored: Any, before: Any, after: tuple[int, int], aspect: str) -> Targets:
        """What `decode` gives, in NumPy, for several images of the sizes `before` `[(H, W), ...]`."""


def concatenate(several: Sequence[Any]) -> Targets:
    """Targets one after another."""
    if isinstance(several[0], dict):
        return {name: np.concatenate([some[name] for some in several]) for name in several[0]}
    return np.concatenate(several)


def take(targets: Targets, positions: np.ndarray) -> Targets:
    """The targets at some positions."""
    if isinstance(targets, dict):
        return {name: part[positions] for name, part in targets.items()}
    return targets[positions]
