"""Images as people have them, arrays, Pillow's or files, as the pixels that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from l2zoo.data.preprocessing import pixels
from l2zoo.utils.validation import check_pixels


def list_images(images: Any) -> Sequence[Any]:
    """The images of a batch or a list, or the only one, as a sequence.

    Raises:
        TypeError: It is no image, and no sequence.
        ValueError: It is empty, or an array of another rank.
    """
    if isinstance(images, np.ndarray):
        if images.ndim not in (2, 3, 4):
            raise ValueError(f"`images` must have shape (H, W, C) or (B, H, W, C), got shape={images.shape}.")
        images = images if images.ndim == 4 else [images]
    elif isinstance(images, str | Path | Image.Image):
        images = [images]
    elif not isinstance(images, list | tuple):
        raise TypeError(
            f"`images` must be arrays, Pillow images or paths, one or a list, got {type(images).__name__}."
        )
    if not len(images):
        raise ValueError("`images` must hold at least one image, got none.")
    return images


def read_pixels(given: Any, *, channels: int, where: str) -> np.ndarray:
    """An image as `(H, W, C)`, uint8 or float32 in [0, 255].

    Files and Pillow's images are read by the rule of `l2zoo.data.preprocessing.pixels`, as in training, and
    made gray or coloured as the model takes them.

    Args:
        given: An array, one of Pillow's images, or a path.
        channels: C.
        where: What to call it in messages.

    Raises:
        TypeError: It is none of these, or an array of something else than numbers.
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decoded, or is larger than Pillow allows; an array of another shape, or with
            values outside of [0, 255].
    """
    if isinstance(given, str | Path):
        path = Path(given).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"`images` must be paths of image files, got {str(path)!r}.")
        return pixels.read_file(path, channels=channels)
    if isinstance(given, Image.Image):
        return pixels.read_image(given, channels=channels, where=where)
    if isinstance(given, np.ndarray):
        return _from_array(given, channels, where)
    raise TypeError(f"{where} must be an array, a Pillow image or a path, got {type(given).__name__}.")


def _from_array(image: np.ndarray, channels: int, where: str) -> np.ndarray:
    if image.ndim == 2 and channels == 1:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] != channels or not image.size:
        raise ValueError(
            f"{where} must have shape (H, W, {channels}), those channels that the model takes, got "
            f"shape={image.shape}."
        )
    check_pixels(image, where=where)
    return image.astype(np.float32 if image.dtype.kind == "f" else np.uint8, copy=False)
