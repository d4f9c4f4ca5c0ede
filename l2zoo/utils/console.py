"""What reaches the terminal: results, in one way, and not TensorFlow's notes to itself."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any


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
def without_chatter() -> Iterator[None]:
    """Holds back what is written to descriptor 2 in a `with` block; it is shown if the block fails.

    TensorFlow's C++ writes about the machine's processor and absent GPUs as it loads, whatever its log level
    is, and LiteRT about its delegates as it runs. A ValueError says its reason itself: nothing is shown then.
    Nor does TensorFlow warn from then on of functions that are traced again, as those of each new model, and
    of the last batch of a data set, rightly are; nor, as it has read its log level, of a driver that is not
    there when it looks for a GPU.

    Example:
        >>> with without_chatter():
        ...     import keras
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its C++ errors come back as Python errors too
    import tempfile

    logging.getLogger("tensorflow").addFilter(_is_no_retracing)  # one and the same is added once
    shown = _copy_stderr()
    if shown is None:  # a program without a console: nobody would read it
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


def _copy_stderr() -> int | None:
    try:
        sys.stderr.flush()
        return os.dup(2)
    except (AttributeError, OSError, ValueError):
        return None


def _is_no_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)
