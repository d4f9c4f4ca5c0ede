"""The TFDS builder `l2zoo_faces`: 200 grey patches that scikit-image ships, faces or not, so no download.

Small, real, and none of digits: for fine-tuning, and for what a hundred images teach. It needs scikit-image,
which `pip install "l2zoo[photos]"` brings. Importing this module registers the name with TFDS.
"""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from l2zoo.data.builtin.labelled import LabelledImages, features, stratified
from l2zoo.data.builtin.photos import import_scikit_image

CLASSES = ("face", "other")
EACH = 100  # of either class, faces first

_DESCRIPTION = """
200 grey patches of 25x25 pixels, 100 faces and 100 pieces of background, from photographs of "Labeled Faces
in the Wild", as scikit-image ships them (`skimage.data.lfw_subset`). The values in [0, 1] are scaled to [0,
255] and rounded.

The split is fixed and stratified: 50 of each class for training, 50 for testing. Who is on a patch is not
known: a person may be in both.
"""

_CITATION = """
@techreport{huang2007labeled,
  title={Labeled Faces in the Wild: A Database for Studying Face Recognition in Unconstrained Environments},
  author={Huang, Gary B. and Ramesh, Manu and Berg, Tamara and Learned-Miller, Erik},
  institution={University of Massachusetts, Amherst},
  number={07-49},
  year={2007}
}
"""


class L2zooFaces(LabelledImages):
    """Faces or background, `(25, 25, 1)` uint8 in [0, 255], 2 classes, 100 train and 100 test."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and kind that TFDS reads

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features((25, 25, 1), CLASSES),
            supervised_keys=("image", "label"),
            homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
            citation=_CITATION,
            license="scikit-image states none of its own; from Labeled Faces in the Wild, for research",
        )

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return face_images()

    def positions(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return split_positions(labels)


def face_images() -> tuple[np.ndarray, np.ndarray]:
    """scikit-image's patches in its order: images `(200, 25, 25, 1)`, uint8 in [0, 255]; labels `(200,)`.

    Raises:
        ImportError: scikit-image is not installed.
    """
    patches = import_scikit_image("l2zoo_faces").lfw_subset()
    return np.rint(patches * 255).astype(np.uint8)[..., np.newaxis], np.repeat([0, 1], EACH)


def split_positions(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and the test examples, always the same."""
    return stratified(labels, test_size=0.5)
