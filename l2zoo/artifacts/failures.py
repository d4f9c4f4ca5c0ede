"""What a framework says about a file that it cannot read, in one kind of error and in one sentence."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence

_LONGEST = 200


@contextlib.contextmanager
def as_value_errors(words: str) -> Iterator[None]:
    """Turns whatever a `with` block raises into a ValueError, but for ImportError.

    Each framework has its own errors for files that were made to deceive: of the file system, of protocol
    buffers, of arrays, of memory.

    Args:
        words: What failed, as in `"model.tflite cannot be opened"`. A ValueError that begins with the same
            word passes as it is.

    Example:
        >>> with as_value_errors("x.bin cannot be read"):
        ...     raise RuntimeError("bad magic")
        Traceback (most recent call last):
        ValueError: x.bin cannot be read: bad magic.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(words.split()[0]):
            raise
        gist = (str(error).strip() or type(error).__name__).splitlines()[0][:_LONGEST].rstrip(".")
        raise ValueError(f"{words}: {gist}.") from error


def check_installed(what: str, packages: Sequence[str], *, extra: str) -> None:
    """Raises ImportError, with what to install, if packages are missing that something needs."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{what} needs packages that are not installed: {', '.join(missing)}. "
            f'pip install "l2zoo[{extra}]"'
        )
