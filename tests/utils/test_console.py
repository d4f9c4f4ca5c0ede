"""What reaches the terminal: results in one way, and no notes of TensorFlow's."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from l2zoo.reports.table import Table
from l2zoo.utils.console import show, warn_in_short, without_chatter


def test_tables_are_drawn_and_text_is_printed_as_it_is(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    long = "[bold]every word of [3/3] 0.5, " + "word " * 20 + "end"
    show(long, Table.of(["name"], [["[cat]"]]), 0.5, ["a", 1])
    assert capsys.readouterr().out.splitlines() == [long, "name ", "[cat]", "0.5", "['a', 1]"]


def test_a_program_without_a_console_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with without_chatter():
        went = True
    assert went


def test_what_is_held_back_while_loading_is_shown_if_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == ""

    def fail(error: type[Exception]) -> None:
        with without_chatter():
            os.write(2, b"the reason\n")
            raise error("no")

    with pytest.raises(ImportError, match="no"):
        fail(ImportError)
    assert capfd.readouterr().err == "the reason\n"
    with pytest.raises(ValueError, match="no"):  # which says its reason itself
        fail(ValueError)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["tensorflow", "absl"])
def test_nobody_is_warned_of_what_is_as_it_should_be(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with without_chatter():
        import absl.logging  # noqa: F401
    logger = logging.getLogger(name)
    logger.warning("5 out of the last 5 calls to %s triggered tf.function retracing.", "step")
    logger.warning("`Feature.dtype` is deprecated. Please change your code to use NumPy.")
    logger.warning("something else")
    assert caplog.messages == ["something else"]


@pytest.mark.filterwarnings("default")
def test_warnings_for_users_are_a_line_each_and_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    with warn_in_short("recipe"):
        for place in range(3):
            warnings.warn("look\nat this", UserWarning, stacklevel=place + 1)
        warnings.warn("for programmers", DeprecationWarning, stacklevel=1)
        with without_chatter():
            os.write(2, b"chatter\n")
            warnings.warn("and this", UserWarning, stacklevel=1)
    assert capfd.readouterr().err == "recipe: warning: look at this\nrecipe: warning: and this\n"
