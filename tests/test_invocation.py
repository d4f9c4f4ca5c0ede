"""How a program was started: what a card may say of it."""

from __future__ import annotations

import sys

import pytest

from l2zoo.invocation import script_command


@pytest.mark.parametrize(
    ("script", "shown"),
    [("recipes/train.py", "recipes/train.py"), ("/somewhere/else/recipes/train.py", "recipes/train.py")],
)
def test_a_script_is_named_without_the_folders_of_this_machine(script, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, "--l2", "1e-4", "--out", "my runs"])
    assert script_command() == f"python {shown} --l2 1e-4 --out 'my runs'"


def test_what_is_no_script_has_no_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/l2zoo", "list"])
    assert script_command() == ""
