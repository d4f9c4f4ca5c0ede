"""What is in a `.keras` file, read from its own parts: types of numbers, classes that it asks for."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_OPTIMIZER = "optimizer"  # where the weights file keeps what only training needs


def contents(path: Path) -> dict[str, Any]:
    """Counts the arrays in a Keras file by type, and names the classes that others than Keras registered.

    Args:
        path: The file. It must come from a trusted place or have passed its checksum.

    Returns:
        `weights` by dtype (the state of random generators among them); `optimizer` likewise, if the model is
        compiled; and `classes` as they are registered, `"l2zoo>FinalBoxes"`.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(_CONFIG))
        arrays = list(_arrays(archive.read(_WEIGHTS)))
    kept = Counter(dtype for name, dtype in arrays if not _is_optimizers(name))
    training = Counter(dtype for name, dtype in arrays if _is_optimizers(name))
    return {
        "weights": dict(sorted(kept.items())),
        **({"optimizer": dict(sorted(training.items()))} if training else {}),
        "classes": sorted(set(_registered(config))),
    }


def _arrays(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and dtype of every array in a weights file."""
    import h5py

    found: list[tuple[str, Any]] = []
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, one: found.append((name, one)))  # which goes on for None
        for name, one in found:
            if isinstance(one, h5py.Dataset):
                yield name, str(one.attrs.get("dtype", one.dtype.name))  # bfloat16 stands in an attribute


def _is_optimizers(name: str) -> bool:
    return name.split("/")[0] == _OPTIMIZER


def _registered(config: Any) -> Iterator[str]:
    """Names of the form `package>class` in a configuration, of layers, losses, metrics and optimizers."""
    if isinstance(config, dict):
        name = config.get("registered_name")
        name = config.get("config") if name == "function" else name
        if isinstance(name, str) and ">" in name and not name.startswith("keras>"):
            yield name
    values = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for value in values:
        yield from _registered(value)
