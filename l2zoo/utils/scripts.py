"""Scripts: how one starts and ends, options that several share, and the command that repeats a run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from l2zoo.utils.console import printable, say, warn_in_short
from l2zoo.utils.interrupts import sure_interrupts
from l2zoo.utils.packages import explain
from l2zoo.utils.shell_words import ERRORS, speak_shell
from l2zoo.utils.storage.earlier_run import fresh_start
from l2zoo.utils.storage.folders import check_replaceable


def run_script(main: Callable[..., None], *, keeps_run: bool = True) -> None:
    """Runs `main` with the arguments of the command line, as Typer reads them from its signature.

    What the user can mend (a bad argument, a file, a package that is not installed) ends the process with one
    line on stderr, in the words of the shell, and status 1, not with a traceback. Warnings are a line each.

    Args:
        main: A function whose parameters are options of Typer's, or dataclasses of such, as `expand_options`
            has them.
        keeps_run: As for `as_command`.
    """
    import typer

    name = Path(sys.argv[0]).stem
    try:
        with warn_in_short(name):
            typer.run(as_command(expand_options(main), keeps_run=keeps_run))
    except ERRORS as error:
        said = explain(error) if isinstance(error, ImportError) else error
        sys.exit(f"{name}: {printable(said, lines=True)}")


def as_command(command: Callable[..., None], *, keeps_run: bool = True) -> Callable[..., None]:
    """The command as a shell has it: errors in its words, `--fresh`, and an end by Ctrl-C.

    Args:
        command: A function whose parameters are options and arguments of Typer's.
        keeps_run: Whether its `out`, if it has one, is the folder of a run, which a second run goes on in.
    """
    offers = keeps_run and "out" in inspect.signature(command).parameters
    return end_calmly(speak_shell(offer_fresh(command) if offers else command))


def offer_fresh(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the option `fresh`, which puts aside what an earlier run left in `out`.

    What could not be replaced in the end is refused at once, before anything is read or trained.
    """
    import typer

    signature = inspect.signature(command, eval_str=True)
    option = Annotated[
        bool, typer.Option("--fresh", help="Start over: put aside what an earlier run left in --out.")
    ]
    fresh = inspect.Parameter("fresh", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)

    @functools.wraps(command)
    def run(*args: Any, fresh: bool = False, **values: Any) -> None:
        out, aside = Path(values.get("out", signature.parameters["out"].default)), None
        try:
            with fresh_start(out, argument="out") if fresh else contextlib.nullcontext() as aside:
                check_replaceable(out / "artifact", mark="manifest.json")
                command(*args, **values)
        finally:
            if aside is not None and aside.exists():  # it did not come back
                say(f"The earlier run is kept in {out.with_name(aside.name)}.", err=True)

    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), fresh])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "fresh": option}
    return run


def end_calmly(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, which Ctrl-C ends with what is kept and how to go on, and with status 130.

    What was at work says it in the exception; of what has none, the folder that is written tells.

    Args:
        command: A function whose parameters are options of Typer's; `out` is the folder of what it keeps,
            `output` what is written in the end.
    """
    defaults = {name: one.default for name, one in inspect.signature(command).parameters.items()}

    @functools.wraps(command)
    def run(*args: Any, **values: Any) -> None:
        try:
            with sure_interrupts():
                command(*args, **values)
        except KeyboardInterrupt as stop:
            import typer

            said = str(stop).replace("the same call", "the same command")
            said = said or _what_is_kept({**defaults, **values})
            if values.get("fresh"):  # which would begin anew
                said = said.replace("same command", "same command without --fresh")
            if sys.stderr.isatty():
                say(err=True)  # behind the ^C of the terminal, and a bar that is not full
            say(said, err=True)
            raise typer.Exit(130) from None

    return run


def _what_is_kept(values: Mapping[str, Any]) -> str:
    """What to say of a command that was stopped, by the folders that it was told."""
    out, output = values.get("out"), values.get("output")
    if out is not None and Path(out).is_dir() and any(Path(out).iterdir()):
        return f"Stopped. The same command goes on with what is kept in {out}."
    if out is not None:
        return "Stopped. Nothing is kept yet: the same command begins anew."
    if output is not None and not Path(output).exists():
        return f"Stopped. Nothing was written to {output}."
    return "Stopped."


def expand_options(main: Callable[..., None]) -> Callable[..., None]:
    """A function with an option for each field of the dataclasses that `main` takes.

    A parameter of `main` whose default is a dataclass stands for all fields of that: each is an option of its
    own, with what the field's annotation says of it, and with its value in that default.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Size:
        ...     width: int = 1
        ...     height: int = 1
        >>> def main(name: str = "x", size: Size = Size(height=3)) -> None:
        ...     print(name, size)
        >>> inspect.signature(expand_options(main)).parameters["height"].default
        3
        >>> expand_options(main)(name="y", width=2, height=3)
        y Size(width=2, height=3)
    """
    signature = inspect.signature(main, eval_str=True)
    groups: dict[str, Any] = {}
    expanded: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        default = parameter.default
        if not dataclasses.is_dataclass(default):
            expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = default
        hints = get_type_hints(type(default), localns=main.__globals__, include_extras=True)
        expanded += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(default, field.name),
                annotation=hints[field.name],
            )
            for field in dataclasses.fields(default)
        ]

    @functools.wraps(main)
    def command(**values: Any) -> None:
        for name, default in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(default)}
            values[name] = dataclasses.replace(default, **fields)
        main(**values)

    command.__signature__ = signature.replace(parameters=expanded)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in expanded}
    return command


def script_command() -> str:
    """What repeats this program, where it is a script or the command `l2zoo`; empty otherwise.

    A script below the working directory is named by its path from there, another by its folder and name: a
    card travels, and the folders of one machine mean nothing elsewhere.
    """
    script = Path(sys.argv[0])
    if script.name in ("l2zoo", "l2zoo.exe"):  # pip's, wherever it put it
        return shlex.join(["l2zoo", *sys.argv[1:]])
    if script.suffix != ".py":
        return ""
    path, here = script.resolve(), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else Path(*path.parts[-2:])
    return shlex.join(["python", shown.as_posix(), *sys.argv[1:]])
