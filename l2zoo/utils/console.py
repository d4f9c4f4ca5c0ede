"""Keeps TensorFlow's notes to itself out of a program that has something to say."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Holds back what is written to descriptor 2 in a `with` block; it is shown if the block fails.

    TensorFlow's C++ writes about the machine's processor and absent GPUs as it loads, whatever its log level
    is, and LiteRT about its delegates as it runs. A ValueError says its reason itself: nothing is shown then.
    Nor does TensorFlow warn from then on of functions that are traced again, as those of each new model, and
    of the last batch of a data set, rightly are.

    Example:
        >>> with without_chatter():
        ...     import keras
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its C++ errors come back as Python errors too
    import tempfile

    logging.getLogger("tensorflow").addFilter(_is_no_retracing)  # one and the same is added once
    sys.stderr.flush()
    shown = os.dup(2)
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


def _is_no_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)
