"""Folders of pictures as a user has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def class_folders(root: Path, *, test: bool = False) -> str:
    """40 images that are all different, five of each patient, in two classes; a fifth of them in `test`."""
    rng = np.random.default_rng(0)
    for number in range(40):
        folder = root / ("test" if test and number % 5 == 0 else "train" if test else "") / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"patient{number // 5}_{number}.png")
    return f"folder:{root}"


def bare_pictures(root: Path, count: int) -> str:
    """So many pictures of 8x8 pixels, without classes."""
    root.mkdir()
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)):
        Image.fromarray(image).save(root / f"{number}.png")
    return f"folder:{root}"
