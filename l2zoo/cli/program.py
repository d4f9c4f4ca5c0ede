"""The program: its commands, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from l2zoo.cli import artifacts, doctor, models, search, serve, studies, train
from l2zoo.cli.tasks import options_of_tasks
from l2zoo.utils.console import in_one_line, say, warn_in_short
from l2zoo.utils.packages import explain
from l2zoo.utils.scripts import as_command, expand_options
from l2zoo.utils.shell_words import ERRORS

COMMANDS: dict[str, Callable[..., None]] = {
    "tune": expand_options(search.tune),
    "train": options_of_tasks(train.train),
    "compare": expand_options(studies.compare),
    "privacy": expand_options(studies.privacy),
    "serve": expand_options(serve.serve),
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
    "doctor": doctor.doctor,
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
    app.command(name)(as_command(command))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the arguments name, and ends the process with its exit status.

    Args:
        arguments: What follows `l2zoo`; `None` for the process's own.
    """
    try:
        with warn_in_short("l2zoo"):
            app(arguments, prog_name="l2zoo")
    except ERRORS as error:
        hint = (
            " Name the module that defines it: --import MODULE."
            if "Could not locate class" in str(error)
            else ""
        )
        said = explain(error) if isinstance(error, ImportError) else error
        say(f"l2zoo: {in_one_line(said)}{hint}", err=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from l2zoo import __version__

        say(__version__)
        raise typer.Exit
