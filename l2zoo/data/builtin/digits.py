"""The TFDS builder `l2zoo_digits`: real handwritten digits that scikit-learn ships, so no download.

Importing this module registers the name with TFDS, so that `tfds.load("l2zoo_digits")` works.
"""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from l2zoo.data.builtin.labelled import LabelledImages, features, stratified

TEST_EXAMPLES = 360

_DESCRIPTION = """
1,797 handwritten digits of 13 people, 8x8 pixels, 10 classes: the test set of "Optical Recognition of
Handwritten Digits" (UCI Machine Learning Repository), as scikit-learn ships it (`load_digits`).

Each image is a 32x32 bitmap reduced to 8x8 by counting the pixels of 4x4 blocks, so that the original
values are 0 to 16. Here they are scaled to [0, 255] and rounded (16 becomes 255).

The split is fixed and stratified: 1,437 examples for training and 360 for testing, 35 to 37 of each class
in the latter.
"""

_CITATION = """
@misc{alpaydin1998optical,
  title={Optical Recognition of Handwritten Digits},
  author={Alpaydin, Ethem and Kaynak, Cenk},
  year={1998},
  publisher={UCI Machine Learning Repository},
  doi={10.24432/C50P49}
}
"""


class L2zooDigits(LabelledImages):
    """Real handwritten digits, `(8, 8, 1)` uint8 in [0, 255], 10 classes, 1,437 train and 360 test."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and kind that TFDS reads

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features((8, 8, 1), [str(digit) for digit in range(10)]),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
            citation=_CITATION,
            license="Creative Commons Attribution 4.0 International (CC BY 4.0)",
        )

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return digit_images()

    def positions(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return split_positions(labels)


def digit_images() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits in its order: images `(1797, 8, 8, 1)`, uint8 in [0, 255]; labels `(1797,)`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return images[..., np.newaxis], digits.target


def split_positions(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and the test examples, always the same."""
    return stratified(labels, test_size=TEST_EXAMPLES)
