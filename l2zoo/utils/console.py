"""What reaches the terminal: results, in one way, and not TensorFlow's notes to itself."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from typing import IO, Any

# What is logged of what is as it should be: a model's own functions are traced, and TFDS uses its old words.
_NO_NEWS = ("triggered tf.function retracing", ".dtype` is deprecated. Please change your code")

# Control characters (among them those that begin a terminal's commands), marks of direction and other
# characters that show nothing, halves of pairs, separators of lines.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # without which Persian words and pictures of families fall apart


def printable(text: object, *, lines: bool = False) -> str:
    r"""A text that does nothing to a terminal but show itself, whoever wrote it.

    Names of classes, files and layers come from files of strangers. What would move the cursor, change
    colours or titles, or turn the direction of reading, is shown as Python writes it.

    Args:
        text: Of whatever type; its `str`.
        lines: Whether ends of lines and tabs stay. In the cell of a table they would make rows of their own.

    Example:
        >>> print(printable("cat\x1b[2J"), printable("a\u202ebc"), printable("日本 é"))
        cat\x1b[2J a\u202ebc 日本 é
    """
    text = str(text)
    if text.isprintable():  # as nearly all are
        return text
    kept = _JOINERS + ("\n\t" if lines else "")
    return "".join(
        repr(one)[1:-1] if unicodedata.category(one) in _UNSEEN and one not in kept else one for one in text
    )


def say(text: object = "", *, err: bool = False) -> None:
    """Prints text as `printable` has it, its lines as they are, on stdout or on stderr."""
    print(printable(text, lines=True), file=sys.stderr if err else sys.stdout, flush=True)


@contextlib.contextmanager
def print_to_stderr(wanted: bool) -> Iterator[None]:
    """Sends what a `with` block prints to stderr, if that is wanted: stdout is then for one JSON object.

    Example:
        >>> with print_to_stderr(True):
        ...     print("a bar of Keras's")
    """
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def show(*values: Any) -> None:
    """Prints values one below another: Rich's own, such as tables, as wide as the terminal; text as it is.

    All of it is `printable`.

    Example:
        >>> show("[3/3] a line of any length stays one", 0.5)
        [3/3] a line of any length stays one
        0.5
    """
    from rich.console import Console

    console = Console()
    for value in values:
        rich = hasattr(value, "__rich__") or hasattr(value, "__rich_console__")
        shown = _Printable(value) if rich else printable(value, lines=True)
        console.print(shown, markup=False, highlight=False, soft_wrap=not rich)


class _Printable:
    """What Rich makes of a value, with its text made printable and its looks as they are."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.segment import Segment

        for part in console.render(self._value, options):
            yield part if part.control else Segment(printable(part.text, lines=True), part.style)


@contextlib.contextmanager
def warn_in_short(program: str) -> Iterator[None]:
    """Prints warnings that are meant for users in one line each, and once, on stderr, in a `with` block.

    They are heard also where `without_chatter` holds back what is written to descriptor 2. Other kinds, such
    as deprecations, are for programmers.

    Args:
        program: What the lines begin with.
    """
    said: set[str] = set()
    with os.fdopen(os.dup(2), "w") as terminal, warnings.catch_warnings():

        def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
            text = in_one_line(message)
            if issubclass(category, UserWarning) and text not in said:
                said.add(text)
                print(f"{program}: warning: {text}", file=terminal, flush=True)

        warnings.showwarning = show_warning
        yield


def in_one_line(message: object) -> str:
    """The gist of a message, `printable`: Keras wraps causes in configurations, set off by empty lines."""
    gist = str(message).rpartition("Exception encountered: ")[2].strip()
    return printable(" ".join(gist.split("\n\n")[0].split("Full object config:")[0].split()))


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Holds back what is written to descriptor 2 in a `with` block; it is shown after an error.

    TensorFlow's C++ writes about the machine's processor and absent GPUs as it loads, whatever its log level
    is, and LiteRT about its delegates as it runs. A ValueError says its reason itself: nothing is shown then.
    Where TensorFlow loads in the block, it says nothing later either of a GPU's driver that is not there, of
    functions that are traced again, as those of each new model rightly are, or of how TFDS is written.

    Example:
        >>> with without_chatter():
        ...     import keras
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its C++ errors come back as Python errors too
    try:
        with _hold_back_stderr():
            yield
    finally:
        _filter_logs()


class _HeldBack:
    """Descriptor 2 as long as somebody holds it back: all threads share it, and the last puts it back."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._holders = 0
        self._shown = -1
        self._held: IO[bytes] | None = None

    def begin(self) -> bool:
        """Whether there is something to hold back: a program without a console has nobody who would read."""
        import tempfile

        with self._turn:
            if not self._holders:
                try:
                    sys.stderr.flush()
                    self._shown = os.dup(2)
                except (AttributeError, OSError, ValueError):
                    return False
                self._held = tempfile.TemporaryFile()  # noqa: SIM115  # it is closed with the last holder
                os.dup2(self._held.fileno(), 2)
            self._holders += 1
            return True

    def end(self, *, tell: bool) -> None:
        """Lets go; the last holder shows what was held back, if it shall be told."""
        with self._turn:
            assert self._held is not None  # for mypy: somebody holds it
            self._holders -= 1
            if self._holders:
                return
            os.dup2(self._shown, 2)
            os.close(self._shown)
            with self._held as held:
                held.seek(0)
                if tell:
                    os.write(2, held.read())


_held_back = _HeldBack()


@contextlib.contextmanager
def _hold_back_stderr() -> Iterator[None]:
    held = _held_back.begin()
    try:
        yield
    except BaseException as error:
        if held:
            _held_back.end(tell=isinstance(error, Exception) and not isinstance(error, ValueError))
        raise
    if held:
        _held_back.end(tell=False)


def _filter_logs() -> None:
    logging.getLogger("tensorflow").addFilter(_is_news)  # one and the same is added once
    if "absl.logging" in sys.modules:  # which makes its own kind of logger
        logging.getLogger("absl").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not any(words in str(record.msg) for words in _NO_NEWS)
