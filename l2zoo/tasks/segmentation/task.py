"""Segmentation: which class every pixel of an image belongs to."""

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
from l2zoo.tasks.segmentation import overlap
from l2zoo.tasks.segmentation.training_metrics import training_metrics
from l2zoo.utils.arguments import suggest_arguments


@suggest_arguments
@dataclass(frozen=True)
class Segmentation(ClassTask):
    """How a segmenter is trained and judged.

    Attributes:
        class_names: K names, of the background too.
        loss: `"crossentropy"`, `"focal"`, `"squared_error"`, `"dice"` or `"tversky"`, or a sum of some
            of them, as in `"dice+crossentropy"`: see `segmentation_loss`.
        label_smoothing: Share of a label that is spread over all classes, in [0, 1).
        output_kind: What a model that is judged gives, as in `Classification`.
    """

    class_names: Sequence[str]
    loss: str = "crossentropy"
    label_smoothing: float = 0.0
    output_kind: str | None = None
    name: ClassVar[str] = "segmentation"
    score: ClassVar[str] = "mean_iou"
    objective: ClassVar[str] = "val_mean_iou"
    scale: ClassVar[float] = 1.0

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, for Keras's `compile` and for `fit`."""
        loss = losses.segmentation_loss(self.loss, label_smoothing=self.label_smoothing)
        return {"loss": loss, "metrics": training_metrics(self._num_classes)}

    def prepared(self, data: ImageData, *, augment: str = "none") -> Prepared:
        """The data with one-hot masks `(B, H, W, K)`, zero for pixels without a label, for `fit`.

        Args:
            data: Images with masks.
            augment: What `augmentation` takes, as in `"flip+shift"`; for training alone.
        """
        check_data(self.name, self.class_names, data)
        return one_hot_targets(data, self._num_classes, task=self.name, augment=augment)

    def measure(self, model: keras.Model, data: ImageData) -> dict[str, float]:
        """How good a model is.

        Returns:
            `mean_iou` and `dice`, means over the classes, and `pixel_accuracy`.
        """
        judge = self.judging(model, data)
        matrix = np.zeros((self._num_classes, self._num_classes), np.int64)
        for _, masks, outputs in predict_batches(model, data):
            matrix += judge._confusion(outputs, masks)
        return overlap.scores(matrix)

    def scores(self, outputs: np.ndarray, masks: np.ndarray) -> dict[str, float]:
        """How good answers `(N, H, W, K)` are for masks `(N, H, W)`: as `measure`, more is better.

        Of two classes the last axis may have one number: then `output_kind` must say what it is.
        """
        return overlap.scores(self._confusion(outputs, masks))

    def _confusion(self, outputs: np.ndarray, masks: np.ndarray) -> np.ndarray:
        kind = OutputKind(self.output_kind or "probabilities")
        kind.check_width(outputs.shape[-1], self._num_classes)
        return overlap.confusion(masks, kind.decide(outputs), self._num_classes)

    def picture(self, model: keras.Model, data: ImageData, path: str | Path) -> Path:
        """Draws images beside their masks and those that the model finds."""
        self._check(model, data)
        images, masks, outputs = next(predict_batches(model, data, batch_size=pictures.MOST))
        said = exclusive_kind(model, outputs, said=self.output_kind).decide(outputs)
        return pictures.picture_of_masks(images, masks, said, self.class_names, path)
