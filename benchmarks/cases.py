"""Which cases of a benchmark are run: what `--case` means."""

from __future__ import annotations

from collections.abc import Collection

import typer

from l2zoo.utils.validation import did_you_mean

ALL = "all"


def select_cases(case: str, known: Collection[str], *, usual: Collection[str] = ()) -> list[str]:
    """The names of the cases that are run: the one asked for, or all.

    Args:
        case: What the user said.
        known: The cases there are.
        usual: Those that all means, if not all of them.

    Raises:
        typer.BadParameter: There is no such case.
    """
    if case == ALL:
        return list(usual or known)
    if case not in known:
        hint = did_you_mean(case, known)
        words = f"must be one of {', '.join((*known, ALL))}, got {case!r}.{hint}"
        raise typer.BadParameter(words, param_hint="'--case'")
    return [case]
