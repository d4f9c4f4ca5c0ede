"""Data for the tests: the digits prepared once, folders of generated images, MNIST where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import load

MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "tfds"


@pytest.fixture(scope="session")
def tfds_root(tmp_path_factory):
    """A TFDS folder that holds l2zoo_digits."""
    root = tmp_path_factory.mktemp("tfds")
    load("l2zoo_digits", data_dir=root)
    return root


@pytest.fixture(scope="session")
def mnist_root():
    if not (MNIST / "mnist").is_dir():
        pytest.skip("MNIST is not prepared on this machine")
    return MNIST


@pytest.fixture
def write_image():
    """Writes a PNG or JPEG of `size` (H, W) whose pixels count upwards from `value`."""

    def write(path, *, value=0, size=(8, 8), mode="L"):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = (np.arange(size[0] * size[1]).reshape(size) + value).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)

    return write


@pytest.fixture
def image_folder(tmp_path, write_image):
    """PATH/train and PATH/test with the classes cat (6 and 2 images) and dog (4 and 2), all different."""
    root = tmp_path / "pets"
    for split, counts in {"train": {"cat": 6, "dog": 4}, "test": {"cat": 2, "dog": 2}}.items():
        for start, (name, count) in enumerate(counts.items()):
            for i in range(count):
                write_image(root / split / name / f"{i}.png", value=100 * start + i + 50 * (split == "test"))
    return root
