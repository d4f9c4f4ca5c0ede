"""Images with nothing beside them, for generators: the label of each is 0, of no class."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from l2zoo.data.sources import features


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """No targets, of a TFDS builder or of files."""

    task: ClassVar[str] = "generation"
    class_names: ClassVar[tuple[str, ...]] = ()

    def stored(self, example: Any) -> Any:
        import tensorflow as tf

        del example
        return tf.constant(0, tf.int64)

    def decode(self, stored: Any, before: Any, after: tuple[int, int]) -> Any:
        return stored

    def guarded(self, target: Any) -> Any:
        return target

    def empty(self, num_examples: int, image_shape: tuple[int, int, int]) -> np.ndarray:
        return np.empty(num_examples, np.int64)


def find(builder: Any) -> tuple[str, Unlabelled] | None:
    """The name of the image among the features of a builder, if it is clear which one is looked at."""
    image = features.main_image(builder)
    return None if image is None else (image, Unlabelled())
