"""Images as people name them: a folder or a pattern in the place of paths, and grey ones without channels."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.data.preprocessing.pixels import SUFFIXES
from l2zoo.utils.validation import first_names

_MAGIC = "*?["


def expand(images: Any, image_shape: Sequence[int]) -> Any:
    """What `Predictor.predict` was given, with folders and patterns as the paths of their image files.

    A batch of grey images `(N, H, W)` of the size that the model takes gets its channel: it cannot be
    anything else.

    Args:
        images: Arrays, Pillow's images, paths, folders, patterns such as "photos/*.jpg", or a list of such.
        image_shape: `(H, W, C)` that the model takes.

    Raises:
        FileNotFoundError: A pattern fits no file.
        ValueError: A folder holds no image; an array of which it is not sure that it is a grey batch.
    """
    if isinstance(images, np.ndarray):
        return _with_channel(images, image_shape)
    if isinstance(images, str | os.PathLike):
        return expand_path(images)
    if isinstance(images, list | tuple) and any(isinstance(one, str | os.PathLike) for one in images):
        found: list[Any] = []
        for one in images:
            found += expand_path(one) if isinstance(one, str | os.PathLike) else [one]
        return found
    return images


def expand_path(given: str | os.PathLike[str]) -> list[Path]:
    """The image files that a path, a folder or a pattern stands for, by name."""
    path = Path(given).expanduser()
    if path.is_dir():
        return _files_of(path)
    if path.exists() or not any(sign in str(path) for sign in _MAGIC):
        return [path]
    found = sorted(Path(one) for one in glob.glob(str(path), recursive=True))
    files = [one for one in found if one.is_file()]
    if not files:
        raise FileNotFoundError(f"`images` must be image files, but no file is called like {str(path)!r}.")
    return files


def _files_of(folder: Path) -> list[Path]:
    """The image files in a folder; those of others below it are not meant."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = [path for path in files if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if found:
        return found
    below = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    step = f" Take a pattern for those of {first_names(below)}: '{folder}/*/*'." if below else ""
    raise ValueError(
        f"`images` must be a folder with images ({', '.join(SUFFIXES)}) in it, got {str(folder)!r}.{step}"
    )


def _with_channel(images: np.ndarray, image_shape: Sequence[int]) -> np.ndarray:
    if images.ndim != 3 or image_shape[2] != 1 or images.shape[2] == 1:
        return images
    if images.shape[1:] == tuple(image_shape[:2]):
        return images[..., None]
    raise ValueError(
        f"`images` must have shape (H, W, 1) or (N, H, W, 1), as the model takes grey images, got "
        f"shape={images.shape}. If they are {images.shape[0]} grey images, give images[..., None]; if it is "
        "one in colours, make it grey first."
    )
