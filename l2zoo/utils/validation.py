"""What is said to a caller whose argument is not what it must be: one wording for the whole house."""

from __future__ import annotations

import difflib
import importlib.util
import math
import operator
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from l2zoo.utils.caller import outside

PICTURES = (".png", ".svg", ".pdf")


def check_number(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite number >= 0, else raises naming the argument."""
    number = hasattr(value, "__float__") and getattr(value, "shape", ()) == ()
    if isinstance(value, (bool, str, bytes)) or not number:
        raise TypeError(f"`{name}` must be a number, got {name}={value!r} of type {type(value).__name__}.")
    value = float(value)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` must be a finite number >= 0, got {name}={value}.")
    return value


def whole_number(name: str, value: Any, *, at_least: int) -> int:
    """Gives `value` as an int, or says what is wrong with the argument called `name`.

    Args:
        name: The argument's name, for the message.
        value: Anything; Python's and NumPy's integers pass.
        at_least: The smallest value allowed.

    Raises:
        TypeError: It is not an integer (a bool is none).
        ValueError: It is below `at_least`.

    Example:
        >>> whole_number("num_classes", 10, at_least=2)
        10
    """
    expected = f"`{name}` must be a whole number >= {at_least}, got {name}={value!r}."
    if isinstance(value, bool):
        raise TypeError(expected)
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(expected) from None
    if number < at_least:
        raise ValueError(expected)
    return number


def whole_numbers(name: str, values: Any, *, at_least: int) -> tuple[int, ...]:
    """Gives `values` as a tuple of ints, or says which entry of the argument called `name` is wrong.

    Raises:
        TypeError: It is not a sequence, or an entry is not an integer.
        ValueError: It is empty, or an entry is below `at_least`.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise TypeError(f"`{name}` must be a sequence of whole numbers, got {name}={values!r}.")
    if not values:
        raise ValueError(f"`{name}` must hold at least one whole number, got {name}={values!r}.")
    return tuple(whole_number(f"{name}[{i}]", value, at_least=at_least) for i, value in enumerate(values))


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Gives `value` if it is one of the allowed words, else raises a `ValueError` that lists them."""
    if value not in allowed:
        hint = did_you_mean(value, allowed)
        raise ValueError(f"`{name}` must be one of {list(allowed)}, got {name}={value!r}.{hint}")
    return str(value)


def known_names(name: str, given: Iterable[str], allowed: Sequence[str]) -> None:
    """Raises a `ValueError` over the first of some words that is not among the allowed ones.

    Example:
        >>> known_names("formats", ["tflit"], ["keras", "tflite"])
        Traceback (most recent call last):
        ValueError: `formats` must be out of ['keras', 'tflite'], got ['tflit']. Did you mean 'tflite'?
    """
    unknown = [one for one in given if one not in allowed]
    if unknown:
        hint = did_you_mean(unknown[0], allowed)
        raise ValueError(f"`{name}` must be out of {list(allowed)}, got {unknown}.{hint}")


def no_attribute(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error of a name that a lazy module does not have, with the one that was meant."""
    return AttributeError(f"module {module!r} has no attribute {name!r}.{did_you_mean(name, known)}")


def did_you_mean(given: Any, known: Iterable[str]) -> str:
    """The sentence that suggests the word meant, with a space before it; empty where none is close.

    Example:
        >>> did_you_mean("clasification", ["classification", "segmentation"])
        " Did you mean 'classification'?"
    """
    # With a lower cutoff than usual "ridge" still finds sklearn_ridge.
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(str(given).lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def first_names(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many there are besides.

    Example:
        >>> first_names(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def check_pixels(images: Any, *, where: str, warn: bool = False) -> None:
    """The one rule for pixels, wherever they come in: finite numbers in [0, 255], as they are before scaling.

    Args:
        images: An array of images or clips, not empty.
        where: What they are, for the message, as in "`frames`".
        warn: Whether floats in another range are warned of and not refused: who trains may mean them.

    Raises:
        TypeError: They are no numbers.
        ValueError: They are not finite, or not in [0, 255], or floats that seem to be scaled to [0, 1].
    """
    import numpy as np  # here: most of what imports this file is to start without it

    if images.dtype.kind not in "uif":
        raise TypeError(f"{where} must hold numbers, got dtype={images.dtype}.")
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):  # the minimum of numbers with a NaN is NaN
        first = next(i for i, image in enumerate(images) if not np.isfinite(image).all())
        raise ValueError(
            f"{where} must hold finite numbers, got NaN or infinity, first in image {first}: drop or mend it."
        )
    floats = images.dtype.kind == "f"
    if low >= 0 and high <= 255 and not (floats and 0 < high <= 1):
        return
    step = "Multiply them by 255, or pass" if low >= 0 and high <= 1 else "Pass"
    message = (
        f"{where} must hold raw pixels in [0, 255], got values in [{low:g}, {high:g}]. {step} them "
        "before any scaling; it belongs into the model (keras.layers.Rescaling)."
    )
    if not (warn and floats):
        raise ValueError(message)
    warnings.warn(message, UserWarning, stacklevel=outside())


def picture_path(path: str | Path) -> Path:
    """Where a picture goes, if its ending is one that we draw.

    Raises:
        ValueError: It is another.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURES:
        raise ValueError(f"`path` must end in .png, .svg or .pdf, got path={str(path)!r}.")
    return path


def check_installed(what: str, packages: Sequence[str], *, extra: str) -> None:
    """Raises ImportError, with what to install, if packages are missing that something needs."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{what} needs packages that are not installed: {', '.join(missing)}. "
            f'pip install "l2zoo[{extra}]"'
        )
