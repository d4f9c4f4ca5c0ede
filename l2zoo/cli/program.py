"""The program: its commands, and how it ends."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TextIO

import typer

from l2zoo.cli import artifacts, models
from l2zoo.utils.shell_words import ERRORS, speak_shell

COMMANDS: dict[str, Callable[..., None]] = {
    "list": models.list_zoo,
    "audit": models.audit,
    "apply": models.apply,
    "convert": models.convert,
    "export": artifacts.export,
    "verify": artifacts.verify,
    "sign": artifacts.sign,
    "predict": artifacts.predict,
    "evaluate": artifacts.evaluate,
    "bench": artifacts.bench,
}

app = typer.Typer(
    help="Keras models in which L2 regularisation is one object.",
    epilog="Each command has an example: l2zoo COMMAND --help.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, command in COMMANDS.items():
    app.command(name)(speak_shell(command))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the arguments name, and ends the process with its exit status.

    Args:
        arguments: What follows `l2zoo`; `None` for the process's own.
    """
    try:  # warnings are heard where TensorFlow's notes on descriptor 2 are held back
        with os.fdopen(os.dup(2), "w") as terminal, warnings.catch_warnings():
            warnings.showwarning = functools.partial(_print_warning, terminal)
            app(arguments, prog_name="l2zoo")
    except ERRORS as error:
        typer.echo(f"l2zoo: {_in_one_line(error)}", err=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from l2zoo import __version__

        typer.echo(__version__)
        raise typer.Exit


def _print_warning(file: TextIO, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):  # what is meant for users; deprecations are for programmers
        print(f"l2zoo: warning: {_in_one_line(message)}", file=file, flush=True)


def _in_one_line(message: object) -> str:
    """The gist of a message: Keras wraps causes in whole configurations, set off by empty lines."""
    gist = str(message).rpartition("Exception encountered: ")[2].strip()
    gist = gist.split("\n\n")[0].split("Full object config:")[0]
    hint = " Name the module that defines it: --import MODULE." if "Could not locate class" in gist else ""
    return " ".join(gist.split()) + hint
