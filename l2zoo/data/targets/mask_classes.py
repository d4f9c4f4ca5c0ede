"""Which values of masks are which classes, and what the classes are called."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from l2zoo.data.targets.masks import UNLABELLED
from l2zoo.utils.caller import outside
from l2zoo.utils.validation import first_names

ClassNames = Sequence[str] | Mapping[int, str] | None
"""The names of classes 0, 1, ..., or of those that values stand for; None where nobody says."""

_LINE = re.compile(r"(\d+)[\s:,;=]+(\S.*)")


class MaskClasses(NamedTuple):
    """The classes of masks.

    Attributes:
        names: K names.
        lookup: The class of each value from 0 to 255, where values are not the classes themselves.
    """

    names: tuple[str, ...]
    lookup: tuple[int, ...] | None = None

    def classes_of(self, values: np.ndarray) -> np.ndarray:
        """The classes, uint8, of a mask's values; 255 where a pixel is not labelled."""
        return values if self.lookup is None else np.array(self.lookup, np.uint8)[values]


def values_in(several: Iterable[np.ndarray]) -> np.ndarray:
    """For each value from 0 to 255 whether one of several masks holds it, `(256,)`, bool."""
    present = np.zeros(256, bool)
    for mask in several:  # one by one, as an index takes eight bytes a pixel
        present[mask.ravel()] = True
    return present


def mask_classes(present: np.ndarray, class_names: ClassNames, *, where: Any) -> MaskClasses:
    """The classes of masks that hold some values.

    Without names, values are the classes 0, 1, ... without a gap, called by their numbers. A sequence names
    the classes in their order, also those that no mask holds. A dict says which value is which class: classes
    have the order in which they are first named, and several values may be one. 255 is not labelled, unless
    the dict names it.

    Args:
        present: What `values_in` gives.
        class_names: What `check_class_names` let pass.
        where: What to call the masks.

    Raises:
        ValueError: No pixel is labelled; values that no class belongs to; without names, a gap.
    """
    values = np.flatnonzero(present).tolist()
    if values == [UNLABELLED] and not (isinstance(class_names, Mapping) and UNLABELLED in class_names):
        raise ValueError(f"There are no labelled pixels in the masks of {where}: all are {UNLABELLED}.")
    if isinstance(class_names, Mapping):
        return _mapped(values, class_names, where)
    labelled = [value for value in values if value != UNLABELLED]
    if class_names is None:
        _check_gaps(labelled, UNLABELLED in values, where)
        return MaskClasses(tuple(map(str, range(len(labelled)))))
    if labelled[-1] >= len(class_names):
        raise ValueError(
            f"`class_names` must name all classes of the masks of {where}, got {len(class_names)} for values "
            f"up to {labelled[-1]}: name {labelled[-1] + 1}, or say which value is which with "
            "{VALUE: NAME, ...}."
        )
    if labelled == [0] and UNLABELLED in values and len(class_names) > 1:
        warnings.warn(
            f"The masks of {where} hold 0 and {UNLABELLED} only, and {UNLABELLED} is taken for not labelled: "
            "if it is a class, say so with "
            f"class_names={{0: {class_names[0]!r}, {UNLABELLED}: {class_names[1]!r}}}.",
            UserWarning,
            stacklevel=outside(),
        )
    return MaskClasses(tuple(class_names))


def read_names(text: str, *, file: Any) -> ClassNames:
    r"""The names in a file `classes.txt`: one a line in the order of the classes, or lines of VALUE NAME.

    Raises:
        ValueError: It names nothing, or one name or value twice.

    Example:
        >>> read_names("road\ncar\n", file="classes.txt")
        ['road', 'car']
        >>> read_names("0 road\n255 car", file="classes.txt")
        {0: 'road', 255: 'car'}
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [_LINE.fullmatch(line) for line in lines]
    if not lines or not all(pairs):
        return check_class_names(lines, name=str(file))
    values = [int(pair[1]) for pair in pairs if pair]
    if len(set(values)) < len(values):
        raise ValueError(f"{file} must name each value once, got {first_names(lines)}.")
    return check_class_names({int(pair[1]): pair[2] for pair in pairs if pair}, name=str(file))


def check_class_names(class_names: Any, *, name: str = "`class_names`") -> ClassNames:
    """Names for classes, if that is what they are.

    Raises:
        TypeError: They are neither a sequence of texts nor a dict of values and texts.
        ValueError: There are none; of a sequence, one twice; a value that no mask can hold.
    """
    if class_names is None:
        return None
    names = list(class_names.values()) if isinstance(class_names, Mapping) else class_names
    if (
        isinstance(names, str)
        or not isinstance(names, Sequence)
        or not all(isinstance(n, str) for n in names)
    ):
        raise TypeError(f"{name} must be names in order, or a dict {{VALUE: NAME}}, got {class_names!r}.")
    if not names or len(names) > UNLABELLED:
        raise ValueError(f"{name} must hold 1 to {UNLABELLED} names, got {len(names)}.")
    if isinstance(class_names, Mapping):
        wrong = [value for value in class_names if not _is_value(value)]
        if wrong:
            raise ValueError(f"{name} must have whole numbers from 0 to 255 for values, got {wrong[0]!r}.")
    elif len(set(names)) < len(names):
        twice = next(one for one in names if list(names).count(one) > 1)
        raise ValueError(f"{name} must name each class once, got {twice!r} twice.")
    return class_names


def _mapped(values: list[int], class_names: Mapping[int, str], where: Any) -> MaskClasses:
    unknown = [value for value in values if value not in class_names and value != UNLABELLED]
    if unknown:
        raise ValueError(
            f"`class_names` must say what each value of the masks of {where} is, got nothing for "
            f"{first_names(list(map(str, unknown)))}."
        )
    names = tuple(dict.fromkeys(class_names.values()))
    lookup = [UNLABELLED] * 256
    for value, name in class_names.items():
        lookup[value] = names.index(name)
    return MaskClasses(names, tuple(lookup))


def _check_gaps(labelled: list[int], is_partial: bool, where: Any) -> None:
    if labelled == list(range(len(labelled))) and not (is_partial and len(labelled) == 1):
        return
    found = [*labelled, UNLABELLED] if is_partial else labelled
    named = ", ".join(f"{value}: ..." for value in found[:3]) + (", ..." if len(found) > 3 else "")
    file = " or a file classes.txt with lines VALUE NAME in the folder" if isinstance(where, Path) else ""
    raise ValueError(
        f"The masks of {where} hold the values {first_names(list(map(str, found)), most=8)}, which are not "
        f"classes from 0 on without a gap ({UNLABELLED} is not labelled). Say which value is which class, "
        f"with class_names={{{named}}}{file}; or, where some classes are only missing here, name all in "
        "their order."
    )


def _is_value(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(0 <= value <= 255)
