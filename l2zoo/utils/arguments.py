"""A misspelt keyword argument is told the one that was meant: before Python 3.14 Python itself does not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from l2zoo.utils.validation import did_you_mean

_T = TypeVar("_T", bound=Callable[..., Any])


def suggest_arguments(public: _T) -> _T:
    """The same public function or class, whose TypeError over an unknown keyword suggests the one meant.

    Example:
        >>> @suggest_arguments
        ... def scale(x, *, factor=1):
        ...     return factor * x
        >>> scale(2, factr=3)
        Traceback (most recent call last):
        TypeError: scale() has no argument `factr`. Did you mean 'factor'?
    """
    if isinstance(public, type):
        public.__init__ = _suggesting(public.__init__, public.__name__)  # type: ignore[misc]
        return public
    return cast(_T, _suggesting(public, public.__name__))


def _suggesting(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    known = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    names = frozenset(known)

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        if not names.issuperset(given):
            unknown = next(one for one in given if one not in names)
            raise TypeError(f"{name}() has no argument `{unknown}`.{did_you_mean(unknown, known)}")
        return function(*args, **given)

    return call
