"""Which rows are trained on and which are held out: so many folds, a splitter of scikit-learn, or pairs."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from l2zoo.data import check_folds
from l2zoo.data.splits.overlap import equal_images
from l2zoo.data.targets.labels import classes_of
from l2zoo.utils.caller import outside
from l2zoo.utils.validation import whole_number

Rows = tuple[np.ndarray, np.ndarray]
"""Training and held-out rows."""

_WAYS = "a number, a splitter of scikit-learn, or a list of pairs of training and held-out rows"


class Division:
    """Gives pairs of training and held-out rows for a seed.

    Args:
        targets: An array of N rows, or a nest of arrays.
        folds: How many, another division for every seed, stratified where a row has one class; or a splitter
            of scikit-learn, whose `random_state` the seed is added to; or pairs of rows, the same for every
            seed.
        groups: What each row belongs to `(N,)`, such as a patient; none is on both sides. With a number of
            folds they are divided along it.
        images: The images or clips of the rows: those that are equal are kept on one side too.

    Attributes:
        number: How many folds, where they are given by their number alone; else None.
    """

    def __init__(self, targets: Any, folds: Any, groups: Any = None, *, images: Any = None):
        self._targets, self._folds = targets, folds
        self._rows = len(keras.tree.flatten(targets)[0])
        self._given = None if groups is None else np.asarray(groups)
        plain = isinstance(images, np.ndarray)  # a generator's inputs are a nest, with noise in it
        self._first = equal_images(images) if plain else np.arange(self._rows)
        self.number = None
        if isinstance(folds, (str, bytes)) or folds is None:
            raise TypeError(f"`folds` must be {_WAYS}, got folds={folds!r}.")
        if hasattr(folds, "split"):
            self._folds = _reproducible(folds)
        elif isinstance(folds, Iterable):
            self._folds = [_pair(pair) for pair in folds]
        else:
            self._folds = whole_number("folds", folds, at_least=2)
            self.number = self._folds if groups is None and not self.copies else None
        self._known: dict[int, list[Rows]] = {}

    def __call__(self, seed: int) -> list[Rows]:
        if seed not in self._known:
            self._known[seed] = self._divide(seed)
        return self._known[seed]

    @property
    def copies(self) -> int:
        """How many rows have the image of a row before them."""
        return self._rows - len(np.unique(self._first))

    @functools.cached_property
    def _groups(self) -> np.ndarray | None:
        """What rows belong to; groups that share an image are one."""
        if self._given is None or not self.copies:
            return self._given
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        numbers = np.unique(self._given, return_inverse=True)[1]
        links = (np.ones(self._rows), (numbers, numbers[self._first]))
        return connected_components(coo_array(links), directed=False)[1][numbers]

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return self._folds if isinstance(self._folds, int) else len(self(0))

    @property
    def overlap(self) -> float:
        """Held-out over training rows, the mean over the pairs: by how much their results go together."""
        return float(np.mean([len(held) / len(trained) for trained, held in self(0)]))

    @functools.cached_property
    def varies(self) -> bool:
        """Whether another seed divides otherwise."""
        one, other = self(0), self(1)
        return len(one) != len(other) or not all(
            np.array_equal(a, b)
            for mine, its in zip(one, other, strict=True)
            for a, b in zip(mine, its, strict=True)
        )

    def examples(self, fold: int) -> int:
        """How many rows a pair trains on, but for one or two, which differ from seed to seed."""
        if self.number:
            return self._rows * (self.number - 1) // self.number
        return len(self(0)[fold][0])

    def check(self, seeds: Iterable[int] = (0,)) -> Division:
        """Divides for these seeds, and warns where equal images had to be kept together.

        Raises:
            TypeError: `folds` is none of what it may be; its `random_state` is no number.
            ValueError: There are too few rows of a class, or too few groups; a row, a group or an image is on
                both sides of a pair; rows that are not there; nothing to train on or to score; seeds that
                give other numbers of pairs.
        """
        if self._given is not None and self._given.shape != (self._rows,):
            raise ValueError(
                f"`groups` must say of each of the {self._rows} examples what it belongs to, shape "
                f"({self._rows},), got shape={self._given.shape}."
            )
        if self._groups is not None and isinstance(self._folds, int):
            count = len(np.unique(self._groups))
            if count < self._folds:
                raise ValueError(
                    f"`folds` must be at most the {count} groups there are, got folds={self._folds}."
                )
        if isinstance(self._folds, int) and self._given is None:
            self._check_number(self._folds)
        counts = set()
        for seed in seeds:
            pairs = self(seed)
            for fold, pair in enumerate(pairs):
                self._check_pair(fold, *pair)
            counts.add(len(pairs))
        if len(counts) > 1:
            raise ValueError(f"`folds` must give as many pairs for every seed, got {sorted(counts)}.")
        if self.copies:
            warnings.warn(
                f"{self.copies} of the {self._rows} images are equal to one before them: equal images are "
                "kept on one side of every fold.",
                UserWarning,
                stacklevel=outside(),
            )
        return self

    def _divide(self, seed: int) -> list[Rows]:
        if isinstance(self._folds, list):
            return self._folds
        classes = classes_of(self._targets)
        if isinstance(self._folds, int):
            return self._by_number(classes, seed)
        splitter = copy.deepcopy(self._folds)
        if hasattr(splitter, "random_state"):
            splitter.random_state = (splitter.random_state or 0) + seed
        y = self._targets if classes is None and isinstance(self._targets, np.ndarray) else classes
        with warnings.catch_warnings():  # `check` looks whether groups were kept together
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            pairs = list(splitter.split(np.zeros((self._rows, 1)), y, self._groups))
        return [(np.asarray(trained), np.asarray(held)) for trained, held in pairs]

    def _by_number(self, classes: np.ndarray | None, seed: int) -> list[Rows]:
        from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

        rows, how = np.unique(self._first), {"n_splits": self._folds, "shuffle": True, "random_state": seed}
        if self._groups is not None:  # of one class for all, it balances the sizes alone
            y = np.zeros(self._rows, int) if classes is None else classes
            with warnings.catch_warnings():  # whole groups cannot give every fold every class
                warnings.filterwarnings("ignore", "The least populated class", UserWarning)
                return list(StratifiedGroupKFold(**how).split(y, y, self._groups))
        if classes is None or self._has_few(classes[rows]):
            pairs = KFold(**how).split(rows)
        else:
            pairs = StratifiedKFold(**how).split(rows, classes[rows])
        return [(self._with_copies(rows[trained]), self._with_copies(rows[held])) for trained, held in pairs]

    def _with_copies(self, rows: np.ndarray) -> np.ndarray:
        """Rows that are the first of their image, and those with an image equal to theirs."""
        return np.flatnonzero(np.isin(self._first, rows)) if self.copies else rows

    def _has_few(self, classes: np.ndarray) -> bool:
        """Whether targets that are floats have values too rare to be classes of every fold."""
        floats = isinstance(self._targets, np.ndarray) and self._targets.dtype.kind == "f"
        counts = np.unique(classes, return_counts=True)[1]
        return floats and bool(counts.min() < self._folds)

    def _check_number(self, folds: int) -> None:
        rows = np.unique(self._first)
        if len(rows) < folds:
            different = " different" if self.copies else ""
            raise ValueError(
                f"`folds` must be at most the {len(rows)}{different} examples there are, got folds={folds}."
            )
        classes = classes_of(self._targets)
        if classes is not None and not self._has_few(classes[rows]):
            try:
                check_folds(classes[rows], folds)
            except ValueError as error:
                if self.copies:
                    raise ValueError(f"{error} (Of equal images, one counts.)") from None
                raise ValueError(
                    f"{error} (Numbers to be predicted, which are no classes, are given as floats.)"
                ) from None

    def _check_pair(self, fold: int, trained: np.ndarray, held: np.ndarray) -> None:
        where = f"Pair {fold} of `folds`"
        for name, rows in (("training", trained), ("held-out", held)):
            if rows.ndim != 1 or rows.dtype.kind not in "iu":
                raise TypeError(f"{where} must hold numbers of rows, got {name} rows of dtype={rows.dtype}.")
            if not len(rows):
                raise ValueError(f"{where} must hold rows, got no {name} rows.")
            if rows.min() < 0 or rows.max() >= self._rows:
                raise ValueError(
                    f"{where} must hold rows from 0 to {self._rows - 1}, got {name} rows from {rows.min()} "
                    f"to {rows.max()}."
                )
        shared = np.intersect1d(trained, held)
        if len(shared):
            raise ValueError(
                f"{where} must hold out what it does not train on, but {len(shared)} rows are on both sides "
                f"(the first: {shared[0]})."
            )
        shared = np.intersect1d(self._first[trained], self._first[held])
        if len(shared):
            row = int(held[self._first[held] == shared[0]][0])
            raise ValueError(
                f"{where} has {len(shared)} equal images on both sides (the first: rows {shared[0]} and "
                f"{row}). Leave copies out, or let a number of folds divide: it keeps equal images together."
            )
        if self._groups is not None:
            shared = np.intersect1d(self._groups[trained], self._groups[held])
            if len(shared):
                raise ValueError(
                    f"{where} has the group {shared[0]!s} on both sides. Let the groups be divided along: a "
                    "number of folds does it, or a splitter such as GroupKFold or StratifiedGroupKFold."
                )


def _reproducible(splitter: Any) -> Any:
    state = getattr(splitter, "random_state", None)
    if state is not None and not isinstance(state, int | np.integer):
        raise TypeError(
            f"`folds` must divide the same way each time, got a random_state of type {type(state).__name__}: "
            f"give {type(splitter).__name__} a number, as in random_state=0."
        )
    return splitter


def _pair(pair: Any) -> Rows:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"`folds` must be {_WAYS}, got {pair!r} in it.")
    return _positions(pair[0]), _positions(pair[1])


def _positions(rows: Any) -> np.ndarray:
    """Numbers of rows; those that a mask marks."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def list_seeds(seeds: int | Sequence[int]) -> list[int]:
    """A number of seeds, or the seeds, as a list of different ones."""
    if not isinstance(seeds, Sequence):
        return list(range(whole_number("seeds", seeds, at_least=1)))
    listed = [whole_number("seeds", seed, at_least=0) for seed in seeds]
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"`seeds` must be a number of seeds, or different seeds, got {list(seeds)}.")
    return listed
