"""Errors speak the words of the shell: every option of every command and recipe, as Typer knows it."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from l2zoo.cli.program import COMMANDS
from l2zoo.utils.scripts import as_command, expand_options
from l2zoo.utils.shell_words import SET_BY, Option, options_of, speak_shell, translate

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.py"))


NAMES = [*COMMANDS, *(path.stem for path in RECIPES)]


def find(name: str) -> Any:
    """The function of a command or of a recipe."""
    if name in COMMANDS:
        return COMMANDS[name]
    (path,) = (path for path in RECIPES if path.stem == name)
    return expand_options(runpy.run_path(str(path))["main"])


def help_of(command: Any) -> str:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(command)
    return CliRunner().invoke(app, ["--help"], prog_name="x").output


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_called_as_the_help_calls_it(name):
    command = find(name)
    parameters, shown = inspect.signature(command).parameters, help_of(command)
    options = options_of(command, dict.fromkeys(parameters, 7))
    assert set(options) == set(parameters)
    assert len({option.name for option in options.values()}) == len(options)
    for parameter, option in options.items():
        assert re.search(rf"(?<![\w-]){re.escape(option.name)}(?![\w-])", shown, re.IGNORECASE)
        said = translate(f"`{parameter}` must be more, got {parameter}=7. Pass `{parameter}=`.", options)
        if option.is_argument:
            assert said == f"{option.name} must be more, got 7. Pass {option.name}."
        else:
            assert said == f"{option.name} must be more, got {option.name} 7. Pass {option.name}."


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_that_an_option_of_another_name_sets_is_called_by_that_option(name):
    command = find(name)
    known = {parameter: option.name for parameter, option in options_of(command, {}).items()}
    for argument, setters in SET_BY.items():
        for setter in set(setters) & set(known):
            options = options_of(command, {**dict.fromkeys(known), setter: 987})
            said = translate(f"`{argument}` must be less, got {argument}=987.", options)
            assert f"`{argument}`" not in said
            assert said.startswith(f"{known[setter]} must")


def test_no_option_is_named_that_no_command_has():
    known = {option for name in NAMES for option in options_of(find(name), {})}
    assert {setter for setters in SET_BY.values() for setter in setters} <= known | {"fresh"}


@pytest.mark.parametrize("name", NAMES)
def test_whatever_has_a_run_folder_offers_to_start_it_afresh(name):
    command = find(name)
    keeps = "out" in inspect.signature(command).parameters
    assert ("--fresh" in help_of(as_command(command))) == keeps


OPTIONS = {
    "limit": Option("--limit", None),
    "tune_images": Option("--tune-images", 600),
    "image_size": Option("--image-size", 0),
    "overwrite": Option("--overwrite", False),
    "strengths": Option("--strengths", "1e-3,-1"),
    "split": Option("--split", None),
    "test_split": Option("--test-split", "tset"),
    "steps": Option("--steps", 50),
    "save": Option("--save", Path("x.gif")),
    "worst": Option("--worst", Path("y.gif")),
    "images": Option("IMAGE", ["a.png"]),
    "task": Option("--task", "classification"),
    "output_kind": Option("--output-kind", None),
    "classes": Option("--classes", "5,6"),
    "data_loss": Option("--data-loss", None),
    "fresh": Option("--fresh", False),
}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "`limit` must be at most the 60 examples there are, got limit=600.",
            "--tune-images must be at most the 60 examples there are, got --tune-images 600.",
        ),
        ("use batches(), or load it with `limit=`.", "use batches(), or load it with --limit."),
        ("Pass image_size=(H, W) to resize them.", "Pass --image-size to resize them."),
        (
            "`image_size` must be (H, W), got image_size=(0, 0).",
            "--image-size must be (H, W), got --image-size 0.",
        ),
        ("or pass overwrite=True to replace it.", "or pass --overwrite to replace it."),
        (
            "`strengths` must be >= 0, got strengths=-1.0.",
            "--strengths must be >= 0, got --strengths -1.0.",
        ),
        ("`split` must name one of train, got 'tset'.", "--test-split must name one of train, got 'tset'."),
        ("`split` must name one of train, got 'test'.", "--split must name one of train, got 'test'."),
        (
            "`steps` must be a whole number >= 1, got steps=0.",
            "`steps` must be a whole number >= 1, got steps=0.",
        ),
        ("`path` must end in .png, got path='y.gif'.", "--worst must end in .png, got --worst y.gif."),
        ("`images` must be paths, got 'a.txt'.", "IMAGE must be paths, got 'a.txt'."),
        ("Read them, and give load((x, y), task=...).", "Read them, and give load((x, y), task=...)."),
        ("boxes need task='detection'.", "boxes need --task detection."),
        ("`output_kind` is needed, got output_kind=None.", "--output-kind is needed, got none."),
        ("`groups` must be as many, got groups=3.", "`groups` must be as many, got groups=3."),
        (
            "`classes` must be different, got classes=['7'].",
            "--classes must be different, got --classes ['7'].",
        ),
        ("start over with resume=False, which keeps it.", "start over with --fresh, which keeps it."),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_messages_by_hand(message, said):
    assert translate(message, OPTIONS) == said


def test_a_command_keeps_its_errors_where_nothing_is_to_be_said_otherwise():
    def main(number: int = 1) -> None:
        raise FileNotFoundError("There is no such file.")

    with pytest.raises(FileNotFoundError, match="There is no such file"):
        speak_shell(main)(number=2)


def test_a_defect_is_not_changed():
    def main(number: int = 1) -> None:
        raise KeyError("`number`")

    with pytest.raises(KeyError, match="`number`"):
        speak_shell(main)(number=2)


def test_what_was_typed_is_said():
    def main(number: int = 1) -> None:
        raise TypeError(f"`number` must be odd, got number={number}.")

    with pytest.raises(ValueError, match="--number must be odd, got --number 2") as caught:
        speak_shell(main)(number=2)
    assert isinstance(caught.value.__cause__, TypeError)
