"""Errors of the library in the words of the shell: arguments become the options that set them.

The library says "`limit` must be ..., got limit=600." To somebody in a shell that is no help where the option
is called `--tune-images`. Which option it is, the command's own parameters decide, and where several could be
it, the value that was given.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2zoo.utils.storage.earlier_run import OtherRunError

ERRORS = (ValueError, TypeError, ImportError, OSError)  # what the user can mend

# Arguments of the library that options of other names set; of its own name an option is found without this.
SET_BY: Mapping[str, Sequence[str]] = {
    "directory": ("out",),
    "epochs": ("tune_epochs", "judge_epochs"),
    "folder": ("output", "out", "artifact"),
    "format": ("formats",),
    "input_shape": ("image_size",),
    "limit": ("tune_images", "images"),
    "name": ("model",),
    "names": ("augment",),
    "name_or_folder": ("artifact", "model"),
    "objective": ("metric",),
    "path": ("save", "worst"),
    "private_key": ("key",),
    "resume": ("fresh",),
    "run_dir": ("out",),
    "source": ("data", "calibrate"),
    "split": ("test_split", "train_split", "calibrate_split"),
    "strength": ("l2", "strengths"),
    "test": ("test_split",),
    "train": ("train_split", "data"),
}

_LITERAL = r"""'[^']*'|"[^"]*"|\([^()]*\)|\[[^\[\]]*\]|-?\d[\w.+-]*(?<!\.)|\.\.\.|\w+"""


@dataclass(frozen=True)
class Option:
    """What sets a parameter of a command.

    Args:
        name: As it is typed, "--test-split", or of an argument as the help calls it, "DATA".
        value: What was given, or is there without.
    """

    name: str
    value: Any

    @property
    def is_argument(self) -> bool:
        """Whether it is known by its place."""
        return not self.name.startswith("-")

    def has(self, literal: str) -> bool:
        """Whether its value is what a message says in Python's words."""
        if self.value is None:
            return False
        sides = (self.value, self.value)  # of a size in pixels one side is given
        spelled = (repr(self.value), str(self.value), repr(str(self.value)), str(sides))
        return (
            literal in spelled
            or str(self.value) == _with_commas(literal)
            or self._number == _number(literal) is not None
        )

    def cannot_be(self, literal: str) -> bool:
        """Whether a message shows a number that was made of others: nobody typed it here."""
        own = self.value is None or self._number is not None
        return own and _number(literal) is not None and not self.has(literal)

    @property
    def _number(self) -> float | None:
        return float(self.value) if type(self.value) in (int, float) else None


def speak_shell(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, whose errors name options in the place of arguments.

    Args:
        command: A function whose parameters are options and arguments of Typer's.
    """

    @functools.wraps(command)
    def run(*args: Any, **values: Any) -> None:
        try:
            command(*args, **values)
        except ERRORS as error:
            options = options_of(command, values)
            said = translate(_in_the_shell(error, options), options)
            if said == str(error):
                raise
            raise ValueError(said) from error

    return run


def _in_the_shell(error: Exception, options: Mapping[str, Option]) -> str:
    """What an error says; where a folder holds another run, with the option that makes room."""
    if isinstance(error, OtherRunError) and "fresh" in options:
        return f"{error.what} Choose another {options['out'].name}, or put that run aside with --fresh."
    return str(error)


def options_of(command: Callable[..., None], values: Mapping[str, Any]) -> dict[str, Option]:
    """The options and arguments of a command by the names of their parameters.

    Args:
        command: As for `speak_shell`.
        values: What its parameters are given.
    """
    import typer

    app = typer.Typer(add_completion=False)
    app.command()(command)
    defaults = inspect.signature(command).parameters
    return {
        one.name: Option(_name(one), values.get(one.name, defaults[one.name].default))
        for one in typer.main.get_command(app).params
        if one.name in defaults
    }


def translate(message: str, options: Mapping[str, Option]) -> str:
    """A message in which options stand where the library has arguments.

    Example:
        >>> options = {"tune_images": Option("--tune-images", 600), "limit": Option("--limit", None)}
        >>> translate("`limit` must be at most 60, got limit=600. Pass limit=60.", options)
        '--tune-images must be at most 60, got --tune-images 600. Pass --tune-images 60.'
    """
    named = set(re.findall(r"`(\w+)=?`|\b(\w+)=", message))
    for name in sorted({one or other for one, other in named}):
        option = _option_for(name, message, options)
        if option is not None:
            message = _replace(message, name, option)
    return message


def _option_for(name: str, message: str, options: Mapping[str, Option]) -> Option | None:
    """The option that sets an argument: of several, the one whose value the message shows."""
    candidates = [options[one] for one in (name, *SET_BY.get(name, ())) if one in options]
    shown = re.search(rf"\bgot (?:{name}=)?({_LITERAL})", message)
    if shown is None:
        return next(iter(candidates), None)
    given = [one for one in candidates if one.has(shown[1])]
    return next(iter([*given, *(one for one in candidates if not one.cannot_be(shown[1]))]), None)


def _replace(message: str, name: str, option: Option) -> str:
    message = re.sub(rf"`{name}=?`", option.name, message)

    def spell(found: re.Match[str]) -> str:
        got, literal = found[1] or "", found[2]
        if _is_in_call(message, found.start()):
            return found[0]
        if got and (option.is_argument or literal == "None"):
            return f"{got}{literal if option.is_argument else 'none'}"
        return f"{got}{option.name}{_spell_value(option, literal, got=bool(got))}"

    return re.sub(rf"(\bgot )?(?<![\w.`]){name}=({_LITERAL})", spell, message)


def _spell_value(option: Option, literal: str, *, got: bool) -> str:
    """A value behind its option, with a space before it; none behind a flag or in the place of one."""
    if option.has(literal) and not isinstance(option.value, bool):
        return f" {option.value}"
    if literal in ("True", "False", "None", "...") or (literal[0] in "([" and not got):
        return ""
    return " " + literal.strip("'\"")


def _is_in_call(message: str, position: int) -> bool:
    """Whether a place in a text is among the arguments of a call, which is Python and stays so."""
    depth = 0
    for i in range(position - 1, -1, -1):
        depth += (message[i] == ")") - (message[i] == "(")
        if depth < 0:
            return i > 0 and (message[i - 1].isalnum() or message[i - 1] == "_")
    return False


def _with_commas(literal: str) -> str:
    """What stands in a list or tuple of words or numbers, as options take it; of others nothing."""
    try:
        found = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return ""
    return ",".join(map(str, found)) if isinstance(found, list | tuple) else ""


def _number(literal: str) -> float | None:
    """The number that a literal is, if it is one."""
    try:
        return float(literal)
    except ValueError:
        return None


def _name(parameter: Any) -> str:
    """What one of Click's parameters is called in the shell."""
    if parameter.param_type_name == "argument":
        return (parameter.metavar or parameter.name.upper()).removesuffix("...")
    return next(one for one in parameter.opts if one.startswith("--"))
