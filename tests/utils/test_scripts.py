"""How a program was started: what a card may say of it."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from l2zoo.utils.scripts import end_calmly, expand_options, run_script, script_command
from l2zoo.utils.storage.earlier_run import OtherRunError


@pytest.mark.parametrize(
    ("script", "shown"),
    [("recipes/train.py", "recipes/train.py"), ("/somewhere/else/recipes/train.py", "recipes/train.py")],
)
def test_a_script_is_named_without_the_folders_of_this_machine(script, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, "--l2", "1e-4", "--out", "my runs"])
    assert script_command() == f"python {shown} --l2 1e-4 --out 'my runs'"


@pytest.mark.parametrize("program", ["/usr/bin/l2zoo", "bin/l2zoo.exe"])
def test_our_command_is_named_without_its_folder(program, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program, "tune", "folder:my photos"])
    assert script_command() == "l2zoo tune 'folder:my photos'"


def test_what_is_no_script_has_no_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/ipython", "list"])
    assert script_command() == ""


@pytest.mark.parametrize(
    ("values", "message", "said"),
    [
        ({"out": "there"}, "", "Stopped. The same command goes on with what is kept in there."),
        ({"out": "empty"}, "", "Stopped. Nothing is kept yet: the same command begins anew."),
        ({"out": "nowhere"}, "", "Stopped. Nothing is kept yet: the same command begins anew."),
        ({"out": "there"}, "2 are kept: the same call goes on.", "2 are kept: the same command goes on."),
        (
            {"out": "there", "fresh": True},
            "",
            "Stopped. The same command without --fresh goes on with what is kept in there.",
        ),
        ({"output": "nowhere"}, "", "Stopped. Nothing was written to nowhere."),
        ({"output": "there"}, "", "Stopped."),
        ({}, "", "Stopped."),
    ],
)
def test_a_command_that_is_stopped_says_what_is_kept(values, message, said, monkeypatch, tmp_path, capsys):
    def work(**values: str) -> None:
        raise KeyboardInterrupt(*filter(None, [message]))

    monkeypatch.chdir(tmp_path)
    Path("there/run").mkdir(parents=True)
    Path("empty").mkdir()
    with pytest.raises(typer.Exit) as ended:
        end_calmly(work)(**values)
    assert ended.value.exit_code == 130
    assert capsys.readouterr() == ("", f"{said}\n")


def _needs(*, number: int = 1) -> None:
    if number < 0:
        raise ValueError(f"`number` must be at least 0, got number={number}.")
    if number > 9:
        raise ImportError('This needs ray: pip install "l2zoo[ray]".')
    print("number", number)


def test_a_script_takes_its_options_from_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["recipes/count.py", "--number", "3"])
    with pytest.raises(SystemExit) as ended:
        run_script(_needs)
    assert ended.value.code == 0
    assert capsys.readouterr().out == "number 3\n"


@pytest.mark.parametrize(
    ("number", "said"),
    [(-1, "count: --number must be at least 0, got --number -1"), (10, "count: This needs ray")],
)
def test_what_the_user_can_mend_is_one_line_and_no_traceback(number, said, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipes/count.py", "--number", str(number)])
    with pytest.raises(SystemExit, match=said):
        run_script(_needs)


def test_a_defect_is_not_hidden(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipes/count.py"])
    with pytest.raises(ZeroDivisionError):
        run_script(lambda: print(1 // 0))


@dataclasses.dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option(help="In pixels.", min=1)] = 1
    height: Annotated[int, typer.Option("--tall")] = 2


@dataclasses.dataclass(frozen=True)
class Box(Size):
    width: Annotated[int, typer.Option(help="In inches.")] = 5


def _draw(name: Annotated[str, typer.Argument()], size: Size = Box(height=4), twice: bool = False) -> None:
    print(name, size, twice)


def test_the_fields_of_a_dataclass_are_options_with_its_defaults(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["draw.py", "circle", "--twice", "--tall", "7"])
    with pytest.raises(SystemExit):
        run_script(_draw)
    assert capsys.readouterr().out == "circle Box(width=5, height=7) True\n"
    monkeypatch.setattr(sys, "argv", ["draw.py", "--help"])
    with pytest.raises(SystemExit):
        run_script(_draw)
    shown = capsys.readouterr().out
    assert [words in shown for words in ("In inches.", "--tall", "4")] == [True] * 3
    assert "In pixels." not in shown
    assert "--size" not in shown


def test_a_function_without_dataclasses_keeps_its_options():
    assert list(inspect.signature(expand_options(_needs)).parameters) == ["number"]


def _train(*, out: Path = Path("runs/x"), epochs: int = 1) -> None:
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1, got epochs={epochs}.")
    if (out / "ledger.jsonl").exists():
        raise OtherRunError(f"`directory` holds another run, got directory={str(out)!r}.")
    out.mkdir(parents=True)
    (out / "ledger.jsonl").write_text(str(epochs))


def test_a_second_run_into_one_folder_is_told_of_fresh_which_puts_the_first_aside(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)

    def start(*options):
        monkeypatch.setattr(sys, "argv", ["train.py", *options])
        with pytest.raises(SystemExit) as ended:
            run_script(_train)
        return ended.value.code

    assert start() == 0
    told = "Choose another --out, or put that run aside with --fresh."
    assert start("--epochs", "2") == f"train: --out holds another run, got --out runs/x. {told}"
    assert start("--epochs", "0", "--fresh") == "train: --epochs must be at least 1, got --epochs 0."
    assert Path("runs/x/ledger.jsonl").read_text() == "1"  # nothing was made, so nothing is put aside
    assert start("--epochs", "2", "--fresh") == 0
    assert "The earlier run is kept in runs/x.1." in capsys.readouterr().err
    assert [Path(f"runs/{name}/ledger.jsonl").read_text() for name in ("x", "x.1")] == ["2", "1"]
    (tmp_path / "runs/x/artifact").mkdir()
    (tmp_path / "runs/x/artifact/mine.txt").touch()
    assert "is not an artifact and is not replaced" in start()  # in the end it would be


def test_what_keeps_no_run_has_no_fresh(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["publish.py", "--fresh"])
    with pytest.raises(SystemExit) as ended:
        run_script(_train, keeps_run=False)
    assert ended.value.code == 2
