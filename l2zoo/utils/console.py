"""What reaches the terminal: results, in one way, and not TensorFlow's notes to itself."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

# What is logged of what is as it should be: a model's own functions are traced, and TFDS uses its old words.
_NO_NEWS = ("triggered tf.function retracing", ".dtype` is deprecated. Please change your code")


def show(*values: Any) -> None:
    """Prints values one below another: Rich's own, such as tables, as wide as the terminal; text as it is.

    Example:
        >>> show("[3/3] a line of any length stays one", 0.5)
        [3/3] a line of any length stays one
        0.5
    """
    from rich.console import Console

    console = Console()
    for value in values:
        rich = hasattr(value, "__rich__") or hasattr(value, "__rich_console__")
        console.print(value if rich else str(value), markup=False, highlight=False, soft_wrap=not rich)


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
    """The gist of a message: Keras wraps causes in whole configurations, set off by empty lines."""
    gist = str(message).rpartition("Exception encountered: ")[2].strip()
    return " ".join(gist.split("\n\n")[0].split("Full object config:")[0].split())


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Holds back what is written to descriptor 2 in a `with` block; it is shown if the block fails.

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


@contextlib.contextmanager
def _hold_back_stderr() -> Iterator[None]:
    import tempfile

    try:
        sys.stderr.flush()
        shown = os.dup(2)
    except (AttributeError, OSError, ValueError):  # a program without a console: nobody would read it
        shown = None
    if shown is None:
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, ValueError):
                held.seek(0)
                os.write(shown, held.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def _filter_logs() -> None:
    logging.getLogger("tensorflow").addFilter(_is_news)  # one and the same is added once
    if "absl.logging" in sys.modules:  # which makes its own kind of logger
        logging.getLogger("absl").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not any(words in str(record.msg) for words in _NO_NEWS)
