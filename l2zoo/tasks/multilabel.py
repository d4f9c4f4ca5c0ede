"""Several labels an image: which of the classes are in it, any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.tasks.checks import check_numbers, predict_batches, prepare_as_is
from l2zoo.tasks.image_task import ImageTask
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.tasks.plots import pictures
from l2zoo.tasks.scores import all_right, label_scores
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import one_of

LOSSES = {"crossentropy": "binary_crossentropy", "focal": "binary_focal_crossentropy"}
KIND = OutputKind("multilabel")  # with its threshold of 0.5, which belongs to what is there


@suggest_arguments
@dataclass(frozen=True)
class MultiLabel(ImageTask):
    """How a model of several labels is trained and judged. It ends in a sigmoid for each class.

    Attributes:
        class_names: K names.
        loss: `"crossentropy"` or `"focal"`, Keras's binary ones.
    """

    class_names: Sequence[str]
    loss: str = "crossentropy"
    name: ClassVar[str] = "multilabel"
    score: ClassVar[str] = "f1"
    objective: ClassVar[str] = "val_label_accuracy"
    scale: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        one_of("loss", self.loss, tuple(LOSSES))

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, for Keras's `compile` and for `fit`."""
        metrics = [
            keras.metrics.BinaryAccuracy("label_accuracy"),
            keras.metrics.AUC(multi_label=True, name="auc"),
        ]
        return {"loss": LOSSES[self.loss], "metrics": metrics}

    def prepared(self, data: ImageData, *, augment: str = "none") -> Prepared:
        """The data for `fit`, as they are.

        Args:
            data: Images with several labels, `load((x, y), task="multilabel")`.
            augment: `"none"`: Keras's layers change images with one-hot labels alone.
        """
        return prepare_as_is(self.name, data, len(self.class_names), augment=augment)

    def measure(self, model: keras.Model, data: ImageData) -> dict[str, float]:
        """How good a model is.

        Returns:
            `label_accuracy` and `f1`, as in `scores`, and `all_right`, the share of images with every label
            right.
        """
        check_numbers(self.name, model, data, len(self.class_names))
        parts = [(labels, outputs) for _, labels, outputs in predict_batches(model, data)]
        labels, found = (np.concatenate(part) for part in zip(*parts, strict=True))
        return {**self.scores(found, labels), "all_right": all_right(KIND.decide(found), _there(labels))}

    def scores(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """How good probabilities `(N, K)` are for labels `(N, K)`, more is better.

        Returns:
            `label_accuracy`, the share of labels that are right at the threshold 0.5, and `f1`, the mean over
            the classes of the harmonic mean of precision and recall.
        """
        return label_scores(KIND.decide(np.asarray(outputs)), _there(labels))

    def picture(self, model: keras.Model, data: ImageData, path: str | Path) -> Path:
        """Draws images with their labels and those that the model finds."""
        check_numbers(self.name, model, data, len(self.class_names))
        images, labels, found = next(predict_batches(model, data, batch_size=pictures.MOST))
        return pictures.picture_of_several_labels(
            images, _there(labels), KIND.decide(found), self.class_names, path
        )


def _there(labels: np.ndarray) -> np.ndarray:
    """Labels of 0 and 1 as bool."""
    return np.asarray(labels) > 0.5
