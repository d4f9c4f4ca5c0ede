"""The TFDS builder `l2zoo_photos`: crops of the two photographs that scikit-learn ships, so no download.

For generators of images: small, real and in colour. Importing this module registers the name with TFDS, so
that `tfds.load("l2zoo_photos")` works.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

EXAMPLES = {"train": 4000, "test": 500}
TEST_COLUMNS = {"landscape": 192, "flower": 256}  # of 640, the left ones: temple and flower are on both sides
GAP = 32  # columns of a photograph between those of test and of train
LARGEST = 192  # side of a square that is scaled down to an image, in pixels of the photograph

_DESCRIPTION = """
Square crops of random size and place of the two photographs that scikit-learn ships (`load_sample_images`: a
temple in a landscape, a flower), for generators of images.

A crop is a square from the side of the image to 192 pixels, of a photograph 427 high, scaled down with
antialiasing; half of them are mirrored. Test crops are of the left of a photograph, up to within the temple
or the flower, and train crops of what lies 32 columns and more to the right of that: no pixel is in both.
"""


class L2zooPhotos(tfds.core.GeneratorBasedBuilder):
    """Crops of photographs, RGB, 4,000 train and 500 test; config `32` (default) or `64`, their side."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and kind that TFDS reads
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=side, description=f"{side}x{side} pixels") for side in ("32", "64")
    ]

    @property
    def side(self) -> int:
        """Height and width of an image, in pixels."""
        return int(self.builder_config.name)

    def _info(self) -> tfds.core.DatasetInfo:
        shape = (self.side, self.side, 3)
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=shape, dtype=np.uint8, encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=list(TEST_COLUMNS)),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://scikit-learn.org/stable/datasets/loading_other_datasets.html",
            license="CC BY, see load_sample_images() of scikit-learn",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in EXAMPLES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, (image, label) in enumerate(crops(split, side=self.side)):
            yield number, {"image": image, "label": label}


def crops(split: str, *, side: int = 32, count: int | None = None) -> Iterator[tuple[np.ndarray, int]]:
    """The images `(H, W, 3)`, uint8, and labels of a split, always the same.

    Args:
        split: `"train"` or `"test"`.
        side: Height and width of an image, in pixels.
        count: Only so many of them.
    """
    photographs = regions(split)
    for number in range(EXAMPLES[split] if count is None else count):
        rng = np.random.default_rng((side, list(EXAMPLES).index(split), number))
        label = int(rng.integers(len(photographs)))
        yield crop(photographs[label], side, largest=LARGEST, rng=rng), label


def regions(split: str) -> list[np.ndarray]:
    """The parts of scikit-learn's photographs that belong to a split, `(H, W, 3)`, uint8, in their order."""
    from sklearn.datasets import load_sample_images

    both = zip(load_sample_images().images, TEST_COLUMNS.values(), strict=True)
    if split == "test":
        return [photograph[:, :edge] for photograph, edge in both]
    return [photograph[:, edge + GAP :] for photograph, edge in both]


def crop(photograph: np.ndarray, side: int, *, largest: int, rng: np.random.Generator) -> np.ndarray:
    """A square of random size and place, scaled to the side with antialiasing, half of them mirrored.

    Args:
        photograph: `(H, W, 3)`, uint8.
        side: Of the result, and the least side of the square, in pixels.
        largest: The greatest side of the square, at most H and W.
        rng: Decides size, place and mirroring.

    Returns:
        `(side, side, 3)`, uint8.
    """
    from PIL import Image

    size = int(rng.integers(side, largest + 1))
    top, left = (int(rng.integers(length - size + 1)) for length in photograph.shape[:2])
    square = Image.fromarray(photograph[top : top + size, left : left + size])
    scaled = np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))
    return scaled[:, ::-1] if rng.integers(2) else scaled
