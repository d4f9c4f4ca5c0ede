"""What options and arguments may say: one of some words, an artifact or a model; all else is wrong usage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from l2zoo.utils.validation import did_you_mean


def one_of(words: Callable[[], Sequence[str]], *names: str, help: str) -> Any:  # noqa: A002
    """An option for one word of a list, which the shell completes.

    Args:
        words: Gives the list; called only when the option is, so that it may import what knows them.
        names: Of the option; after its parameter if none.
        help: The option's.
    """

    def parsed(given: str) -> str:
        known = words()
        if given not in known:
            hint = did_you_mean(given, known)
            raise typer.BadParameter(f"must be one of {', '.join(known)}, got {given!r}.{hint}")
        return given

    def completed(incomplete: str) -> list[str]:
        return [word for word in words() if word.startswith(incomplete)]

    return typer.Option(*names, parser=parsed, autocompletion=completed, metavar="WORD", help=help)


def artifact(given: str) -> Path:
    """The folder of an artifact, by its path or by the name of a saved model."""
    return _found(given, "artifact's folder")


def model(given: str) -> Path:
    """A file of Keras's, or the folder of an artifact, which holds one."""
    path = Path(given).expanduser()
    return path if path.is_file() else _found(given, "file, no artifact's folder")


def saved_models(incomplete: str) -> list[str]:
    """Names of saved models that begin so."""
    from l2zoo.artifacts.store import locations

    return [name for name in locations.saved_models() if name.startswith(incomplete)]


def _found(given: str, kinds: str) -> Path:
    from l2zoo.artifacts.store import locations

    try:
        return locations.find(given)
    except (FileNotFoundError, ValueError):  # for the command line, `name_or_folder` is no word
        known = locations.saved_models()
        hint = did_you_mean(given, known) or f" The saved models: {', '.join(known)}."
        raise typer.BadParameter(f"{given!r} is no {kinds} and no saved model.{hint}") from None


Artifact = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="An exported artifact, or the name of a saved model.",
        parser=artifact, autocompletion=saved_models,
    ),
]  # fmt: skip
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A saved Keras model, .keras; or an artifact, as for verify.",
        parser=model, autocompletion=saved_models,
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
