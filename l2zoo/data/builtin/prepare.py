"""Writes a data set that needs no download into TFDS's data folder: quietly, whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import random
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2zoo.utils.caller import outside

_ONE_AT_A_TIME = threading.Lock()


def is_prepared(builder: Any) -> bool:
    """Whether the files of the builder are complete.

    The same test as TFDS's own `is_prepared`, which logs a warning when they are not.
    """
    return (builder.data_path / "dataset_info.json").exists()


def prepare(builder: Any) -> Any:
    """A builder of the same data set whose files are there, preparing them now if need be.

    Where the data folder cannot be written, the files go to a temporary one that lasts as long as the
    process, with a warning.

    Args:
        builder: A registered TFDS builder that downloads nothing.

    Returns:
        A TFDS builder that is ready to be read.

    Raises:
        FileExistsError: The folder is there, but what is in it is not complete.
    """
    if is_prepared(builder):
        return builder
    root = Path(builder.data_dir_root)
    inner = Path(builder.data_dir).relative_to(root)  # name/version
    config = builder.builder_config and builder.builder_config.name
    builder_class: Any = type(builder)
    build = functools.partial(builder_class, config=config)
    try:
        return _prepare(builder.name, build, root, inner)
    except FileExistsError:
        raise
    except OSError as error:
        _warn_once(
            f"{root} cannot be written ({error.strerror or error}), so {builder.name} is prepared in a "
            "temporary folder, for this process only: set TFDS_DATA_DIR or pass `data_dir=` to keep it."
        )
        return _prepare(builder.name, build, Path(_temporary_root().name), inner)


def _prepare(name: str, build: Callable[..., Any], root: Path, inner: Path) -> Any:
    """Prepares in a folder of our own beside the final one, and renames it: the first to finish wins.

    TFDS renames too, but takes the name of its working folder from Python's global random numbers: two
    processes that set the same seed, as training scripts do, would write into the same folder.
    """
    with _ONE_AT_A_TIME:
        final = root / inner
        final.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f"incomplete.{name}.", dir=root))
        try:
            staged = build(data_dir=stage)
            with _silence():
                staged.download_and_prepare()
            with contextlib.suppress(OSError):  # another process was faster: checked below
                os.rename(staged.data_dir, final)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    ready = build(data_dir=root)
    if not is_prepared(ready):
        raise FileExistsError(f"{final} is not a complete {name}: remove it and try again.")
    return ready


@contextlib.contextmanager
def _silence() -> Any:
    """Hides TFDS's progress bars and messages, and the random numbers that it draws.

    Without the latter, a seeded script would give other results in the run that prepares the data.
    """
    state = random.getstate()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        random.setstate(state)


@functools.cache
def _temporary_root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="l2zoo-data-", ignore_cleanup_errors=True)


@functools.cache
def _warn_once(message: str) -> None:
    """Warns the first time; each split that is loaded would say the same again."""
    warnings.warn(message, stacklevel=outside())
