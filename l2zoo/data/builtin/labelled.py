"""What TFDS builders of labelled images that an installed package brings have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

SPLIT_SEED = 0


class LabelledImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Images `(H, W, C)` uint8 in [0, 255], each of one class, in a split that is always the same."""

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images `(N, H, W, C)` and their labels `(N,)`."""
        raise NotImplementedError

    def positions(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of the training and of the test examples."""
        raise NotImplementedError

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        images, labels = self.arrays()
        parts = zip(("train", "test"), self.positions(labels), strict=True)
        return {split: self._generate_examples(images, labels, positions) for split, positions in parts}

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray, positions: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for position in positions:
            yield int(position), {"image": images[position], "label": int(labels[position])}


def features(shape: tuple[int, int, int], names: Sequence[str]) -> tfds.features.FeaturesDict:
    """An image and its label, as TFDS stores them."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=shape, dtype=np.uint8, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=list(names)),
        }
    )


def stratified(labels: np.ndarray, *, test_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and the test examples, always the same.

    Args:
        labels: `(N,)`.
        test_size: How many are for the test, or their share, as scikit-learn takes it.
    """
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=SPLIT_SEED
    )
    return train, test
