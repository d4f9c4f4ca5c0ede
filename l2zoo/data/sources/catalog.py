"""Finds a TFDS data set by name on this machine; what is missing is said in one sentence."""

from __future__ import annotations

import difflib
import os
import re
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from l2zoo.data.builtin import preparing

_OURS = ("l2zoo_digits", "l2zoo_moving_digits", "l2zoo_photos", "l2zoo_scenes")
_NAMESPACE = re.compile(r"^\w+:(?!\d)")  # "huggingface:mnist", but not "mnist:3.0.1"


def import_tfds() -> Any:
    """TensorFlow Datasets, with the data sets of l2zoo registered.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"A data set by name or folder needs TensorFlow Datasets, which cannot be imported ({error}): "
            "pip install tensorflow-datasets importlib_resources, or pass arrays (x, y)."
        ) from error
    # Importing them registers their names.
    from l2zoo.data.builtin import digits, moving_digits, photos, scenes  # noqa: F401

    return tfds


def open_builder(name: str, *, data_dir: str | os.PathLike[str] | None, download: bool) -> Any:
    """A TFDS builder whose files are there.

    Args:
        name: A TFDS name with an optional config and version: "mnist", "mnist:3.0.1".
        data_dir: Folder of TFDS data sets; `None` is TFDS's own default.
        download: Whether a data set that is not there may be fetched.

    Raises:
        ValueError: The name is unknown.
        FileNotFoundError: The data set is not there and was not, or could not be, fetched.
    """
    builder = _find(name, data_dir)
    if preparing.is_prepared(builder):
        return builder
    if builder.name in _OURS:
        return preparing.prepared(builder)
    if not download:
        raise FileNotFoundError(_how_to_provide(name, builder))
    _fetch(name, builder)
    return builder


def _find(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    tfds = import_tfds()
    if _NAMESPACE.match(name):
        raise ValueError(
            f"`source` must be a data set of TFDS itself, got {name!r} from a community: prepare it with "
            "TFDS and pass arrays (x, y), or write its images into class folders and pass 'folder:PATH'."
        )
    try:
        return tfds.builder(name, data_dir=None if data_dir is None else os.path.expanduser(data_dir))
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)  # the others would ask the network
    # TFDS's own text lists all its hundreds of names; ours stands alone, with the close ones.
    close = difflib.get_close_matches(re.split("[:/]", name)[0], known, n=4)
    step = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"there are {len(known)}, such as mnist or cifar10."
    )
    if Path(name).expanduser().is_dir():
        step = f"for a folder of class folders, write 'folder:{name}'."
    raise ValueError(f"`source` {name!r} is not a data set that TFDS knows: {step}")


def _how_to_provide(name: str, builder: Any) -> str:
    folder = builder.data_path
    found = sorted(path.parent.name for path in folder.parent.glob("*/dataset_info.json"))
    versions = f" (there is {', '.join(found)}: ask for '{name.split(':')[0]}:{found[-1]}')" if found else ""
    return (
        f"The data set {name!r} is not on this machine: looked for {folder}{versions}; pass download=True to "
        f"fetch it, or run tfds.load({name!r}, data_dir=FOLDER) on a machine with internet, copy FOLDER here "
        "and pass it as `data_dir=` or set TFDS_DATA_DIR."
    )


def _fetch(name: str, builder: Any) -> None:
    """Downloads with TFDS's own progress bars, which whoever asked for a download wants to see."""
    host = _unreachable_host(builder)
    if host:
        raise FileNotFoundError(
            f"{host}, which has the data set {name!r}, cannot be reached from here. "
            f"{_how_to_provide(name, builder)}"
        )
    try:
        builder.download_and_prepare()
    except Exception as error:  # anything a download, an archive or a data set's own code may raise
        reason = str(error).strip().split("\n")[0]
        manual = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        step = (
            f"It must be downloaded by hand: {manual.strip()}" if manual else _how_to_provide(name, builder)
        )
        raise FileNotFoundError(f"Fetching the data set {name!r} failed ({reason}). {step}") from error


def _unreachable_host(builder: Any) -> str | None:
    """The host that does not answer, or `None`: TFDS itself would retry for more than three minutes."""
    if urllib.request.getproxies():
        return None  # the proxy will know
    url = next(iter(builder.url_infos or ()), None)
    if url is None:
        return None
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"http": 80, "ftp": 21}.get(parts.scheme, 443)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=10).close()
    except OSError:
        return parts.hostname
    return None
