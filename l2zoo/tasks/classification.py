"""Classification: which one of the classes is in an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.tasks import losses
from l2zoo.tasks.augmentation import one_hot_targets
from l2zoo.tasks.checks import check_data, predict_batches
from l2zoo.tasks.image_task import ClassTask
from l2zoo.tasks.infer_output_kind import exclusive_kind
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.tasks.plots import pictures
from l2zoo.tasks.scores import TOP, calibration_error, class_scores, log_loss
from l2zoo.utils.arguments import suggest_arguments


@suggest_arguments
@dataclass(frozen=True)
class Classification(ClassTask):
    """How a classifier is trained and judged.

    Attributes:
        class_names: K names.
        loss: `"crossentropy"`, `"focal"` or `"squared_error"`, as in `classification_loss`.
        label_smoothing: Share of a label that is spread over all classes, in [0, 1).
        output_kind: What a model that is judged gives, if it does not tell itself: `"probabilities"`,
            `"logits"`, `"binary"` or `"binary_logits"` (`l2zoo.tasks.output_kind`).
    """

    class_names: Sequence[str]
    loss: str = "crossentropy"
    label_smoothing: float = 0.0
    output_kind: str | None = None
    name: ClassVar[str] = "classification"
    score: ClassVar[str] = "accuracy"
    objective: ClassVar[str] = "val_accuracy"
    scale: ClassVar[float] = 1.0

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, for Keras's `compile` and for `fit`."""
        metrics = [keras.metrics.CategoricalAccuracy("accuracy")]
        if self._num_classes > TOP:
            metrics.append(keras.metrics.TopKCategoricalAccuracy(TOP, "top5"))
        loss = losses.classification_loss(self.loss, label_smoothing=self.label_smoothing)
        return {"loss": loss, "metrics": metrics}

    def prepared(self, data: ImageData, *, augment: str = "none") -> Prepared:
        """The data with one-hot labels, for `fit`.

        Args:
            data: Images with labels.
            augment: What `augmentation` takes, as in `"flip+shift"`; for training alone.
        """
        check_data(self.name, self.class_names, data)
        return one_hot_targets(data, self._num_classes, task=self.name, augment=augment)

    def measure(self, model: keras.Model, data: ImageData) -> dict[str, float]:
        """How good a model is.

        Returns:
            `accuracy`, `top5` if there are more than five classes, `log_loss`, the mean cross-entropy, and
            `calibration_error`, by how much confidence and accuracy differ (`l2zoo.tasks.scores`).
        """
        self._check(model, data)
        parts = [(labels, outputs) for _, labels, outputs in predict_batches(model, data)]
        labels, found = (np.concatenate(part) for part in zip(*parts, strict=True))
        kind = exclusive_kind(model, found, said=self.output_kind)
        return {
            **class_scores(found, labels, kind),
            "log_loss": log_loss(found, labels, kind),
            "calibration_error": calibration_error(found, labels, kind),
        }

    def scores(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """How good answers are for labels `(N,)`: `accuracy` and `top5`, more is better.

        Args:
            outputs: `(N, K)`, or `(N, 1)` for two classes: then `output_kind` must say what they are.
            labels: `(N,)`, below K.
        """
        kind = OutputKind(self.output_kind or "probabilities")
        kind.check_width(outputs.shape[-1], self._num_classes)
        return class_scores(outputs, labels, kind)

    def picture(self, model: keras.Model, data: ImageData, path: str | Path) -> Path:
        """Draws images with what they are and what the model takes them for."""
        self._check(model, data)
        images, labels, found = next(predict_batches(model, data, batch_size=pictures.MOST))
        found = exclusive_kind(model, found, said=self.output_kind).probabilities(found)
        return pictures.picture_of_labels(images, labels, found, self.class_names, path)
