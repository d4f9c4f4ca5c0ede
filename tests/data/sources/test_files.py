"""Files are read by NumPy and Pillow as TensorFlow reads them, with their targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import load


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Images of three sizes in class folders, with masks, and with boxes."""
    rng = np.random.default_rng(0)
    listed: dict[str, list] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for number in range(6):
        image = Image.fromarray(rng.integers(0, 256, (20 + number // 2, 30, 3), np.uint8))
        mask = Image.fromarray(rng.integers(0, 3, (image.height, image.width), np.uint8))
        places = {
            f"classes/{'ab'[number % 2]}": image,
            "pairs/images": image,
            "pairs/masks": mask,
            "boxes": image,
        }
        for place, picture in places.items():
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / place / f"{number}.png")
        about = {"id": number, "file_name": f"{number}.png", "height": image.height, "width": image.width}
        listed["images"].append(about)
        for left in range(number % 3):
            box = {"id": 10 * number + left, "image_id": number, "category_id": 1, "iscrowd": 0}
            listed["annotations"].append({**box, "bbox": [9 * left, 2, 8, 15], "area": 120})
    (tmp_path / "boxes/annotations.json").write_text(json.dumps(listed))
    return tmp_path


@pytest.mark.parametrize("aspect", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(
    ("folder", "task"), [("classes", "classification"), ("pairs", "segmentation"), ("boxes", "detection")]
)
def test_files_are_read_without_tensorflow_as_with_it(folders: Path, folder, task, aspect) -> None:
    data = load(f"folder:{folders / folder}", "train", task=task, image_size=(12, 16), aspect=aspect)
    images, targets = data.source.read(np.arange(6))
    expected, true = data.arrays()
    assert (images.dtype, images.shape) == (expected.dtype, expected.shape)
    off = np.abs(images.astype(int) - expected)
    assert off.max() <= 1  # where the last bit of a float decides how a half is rounded
    assert (off > 0).mean() < 0.01
    if task == "segmentation":  # a middle between two pixels may go to either
        assert (targets == true).mean() > 0.97
        return
    for found, wanted in zip(
        *(part.values() if task == "detection" else [part] for part in (targets, true)), strict=True
    ):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, atol=1e-4)
