"""What long work shows: on a terminal a bar, elsewhere lines, and a last word to who stops it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from l2zoo.utils.progress import Progress

KEPT = "3 are kept in [runs]."


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, soft_wrap=True)


def test_what_is_kept_is_neither_done_nor_left():
    with Progress("models", console=console(terminal=False)) as count:
        count.expect(10)
        count.skip(4, of=10)
        count.advance()
    assert (count.done, count.left) == (1, 5)


def test_a_terminal_shows_a_bar_and_keeps_the_lines_above_it():
    place = console(terminal=True)
    with Progress("models", console=place) as count:
        count.expect(2)
        count.advance()
        count.write("one [of] two")
    text = place.file.getvalue()
    assert "one [of] two" in text
    assert "models" in text[text.index("one [of] two") :]
    assert "1/2" in text


def test_elsewhere_there_are_lines_alone():
    place = console(terminal=False)
    with Progress("models", console=place) as count:
        count.expect(2)
        count.write("one [of] two")
        count.advance()
    assert place.file.getvalue() == "one [of] two\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_who_stops_it_hears_what_is_kept(terminal):
    place = console(terminal=terminal)
    words = r"^Stopped\. 3 are kept in \[runs\]\.$"
    with (
        pytest.raises(KeyboardInterrupt, match=words),
        Progress("outer", stopped="Something else.", console=place),
        Progress("models", stopped=KEPT, console=place),
    ):
        raise KeyboardInterrupt


def test_an_error_speaks_for_itself():
    place = console(terminal=False)
    with pytest.raises(ZeroDivisionError), Progress("models", stopped=KEPT, console=place):
        raise ZeroDivisionError
    assert place.file.getvalue() == ""


def test_nothing_is_shown_where_nothing_is_wanted(capfd):
    with Progress("models", visible=False) as count:
        count.expect(1)
        count.write("not this")
    assert capfd.readouterr() == ("", "")
