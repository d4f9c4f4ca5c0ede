"""A TFDS data set by name: found on this machine or fetched, and its splits and examples.

What is missing is said in one sentence.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.data.batching import WORKERS
from l2zoo.data.builtin import prepare
from l2zoo.utils.validation import did_you_mean

if TYPE_CHECKING:
    import tensorflow as tf

OURS = ("l2zoo_digits", "l2zoo_faces", "l2zoo_moving_digits", "l2zoo_photos", "l2zoo_scenes")
# Of data sets whose builder names none.
_LICENSES = {"mnist": "CC BY-SA 3.0, as the documentation of keras.datasets.mnist says"}
_PATH = re.compile(r"[~./\\]|[a-zA-Z]:[\\/]|.*\\|.*/$")  # "./a", "C:\\a", "a/"; not "voc/2012"
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
            "A data set by name, or a slice of a folder's split, needs TensorFlow Datasets, which cannot be "
            f"imported ({error}): pip install l2zoo; or take a whole split of a folder, or arrays (x, y)."
        ) from error
    if not hasattr(tfds, "core"):  # it imports itself half where one of its packages cannot be imported
        raise ImportError(
            "TensorFlow Datasets has imported half of itself, as it does beside a tensorflow-metadata that "
            'is too new for the protobuf of an old TensorFlow: pip install "tensorflow-metadata<1.18", or '
            "pass arrays (x, y)."
        )
    # Importing them registers their names.
    from l2zoo.data.builtin import digits, faces, moving_digits, photos, scenes  # noqa: F401

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
    if prepare.is_prepared(builder):
        return builder
    if builder.name in OURS:
        return prepare.prepare(builder)
    if not download:
        raise FileNotFoundError(_how_to_provide(name, builder))
    _fetch(name, builder)
    return builder


def license_of(builder: Any) -> str:
    """What is said of the license of a builder's data, by the builder first; or an empty string."""
    return builder.info.redistribution_info.license.strip() or _LICENSES.get(builder.name, "")


def count(builder: Any, split: str, *, words: str = "images") -> int:
    """The number of examples in a split of a builder, at least 1.

    Args:
        builder: A prepared `tfds.core.DatasetBuilder`.
        split: A split or slice of it.
        words: What an example is.

    Raises:
        ValueError: The split is not there or empty.
    """
    splits = builder.info.splits
    try:
        found = splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"`split` must be {' or '.join(splits)}, or a slice such as 'train[:80%]', got split={split!r}."
            f"{did_you_mean(split, splits)}"
        ) from error
    if not found:
        raise ValueError(f"There are no {words} in split={split!r} of {builder.name}.")
    return found


def describe(builder: Any, split: str) -> str:
    """What to call a split of a builder, with the place where it is."""
    return f"{builder.name} {split} in {builder.data_dir}"


def examples(builder: Any, split: str) -> tf.data.Dataset:
    """Stored examples with no image decoded, in a fixed order."""
    tfds = import_tfds()
    images = keys_of(builder.info.features, tfds.features.Image)
    decoders = {key: tfds.decode.SkipDecoding() for key in images}
    config = tfds.ReadConfig(
        try_autocache=False,  # `ImageData` keeps what fits
        num_parallel_calls_for_decode=WORKERS,
        num_parallel_calls_for_interleave_files=WORKERS,
    )
    return builder.as_dataset(split=split, decoders=decoders, read_config=config)


def keys_of(features: Any, kind: type) -> list[str]:
    """Names of the features of a kind."""
    return [key for key, feature in features.items() if isinstance(feature, kind)]


def _find(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    tfds = import_tfds()
    if _PATH.match(name):
        raise _unknown(name, _folder_step(name))
    if _NAMESPACE.match(name):
        raise ValueError(
            f"`source` must be a data set of TFDS itself, got {name!r} from a community: prepare it with "
            "TFDS and pass arrays (x, y), or write its images into class folders and pass 'folder:PATH'."
        )
    try:
        return tfds.builder(name, data_dir=None if data_dir is None else os.path.expanduser(data_dir))
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        base = re.split("[:/]", name)[0]
        known = tfds.list_builders(with_community_datasets=False)  # the others would ask the network
        if base in known and not isinstance(error, tfds.core.DatasetNotFoundError):
            raise  # of a config or a version, which TFDS lists
    # TFDS's own text lists all its hundreds of names, or its grammar; ours stands alone, with the close ones.
    close = difflib.get_close_matches(base, known, n=4)
    step = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"there are {len(known)}, such as mnist or cifar10."
    )
    is_path = name and (Path(name).expanduser().exists() or ("/" in name and not close))
    raise _unknown(name, _folder_step(name) if is_path else step)


def _folder_step(name: str) -> str:
    """What to do about a path."""
    path = Path(name).expanduser()
    if path.is_file():
        return f"unpack {name} into a folder, and pass 'folder:PATH'."
    there = "" if path.is_dir() else " But there is no such folder."
    return f"did you mean 'folder:{name}'?{there}"


def _unknown(name: str, step: str) -> ValueError:
    return ValueError(f"`source` {name!r} is not a data set that TFDS knows: {step}")


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
    import socket  # here: what reads no data set by name is to start without the network's modules
    import urllib.parse
    import urllib.request

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
