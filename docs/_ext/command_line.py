"""The directive `command-line`: every command of the program, what it takes, and its help."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def describe(program: Any) -> str:
    """All commands of a click group as Markdown: a heading each, its help, and a table of what it takes."""
    parts = [_command(name, program.commands[name]) for name in program.commands]
    return "\n\n".join(parts)


def _command(name: str, command: Any) -> str:
    arguments = " ".join(map(_metavar, _arguments(command)))
    lines = [f"## `l2zoo {name}`", "", "```text", f"l2zoo {name} [OPTIONS] {arguments}".rstrip(), "```", ""]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        text = " ".join(paragraph.replace("\b", "").split())
        example, found = re.subn(r"^Example: ", "", text)
        lines += ["```shell", example, "```", ""] if found else [_escape(text), ""]
    rows = list(_rows(command))
    return "\n".join([*lines, *(["| | |", "|---|---|", *rows] if rows else [])])


def _rows(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            names = f"`{_metavar(parameter)}`"
        else:
            names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
        yield f"| {names} | {_escape(getattr(parameter, 'help', None) or '')}{_default(parameter)} |"


def _arguments(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "argument"]


def _metavar(argument: Any) -> str:
    return argument.metavar or argument.name.upper()


def _default(parameter: Any) -> str:
    value = parameter.default
    shown = isinstance(value, str | int | float | PurePath) and not isinstance(value, bool) and value != ""
    return f" Default: `{value}`." if shown else ""


def _escape(text: str) -> str:
    return re.sub(r"([|*_<>\[\]{}$`])", r"\\\1", text)


class CommandLine(SphinxDirective):
    """Puts the commands where it stands."""

    def run(self) -> list[nodes.Node]:
        import typer

        from l2zoo.cli import app

        text = describe(typer.main.get_command(app))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tells Sphinx of the directive."""
    app.add_directive("command-line", CommandLine)
    return {"version": "1", "parallel_read_safe": True}
