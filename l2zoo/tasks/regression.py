"""Regression: numbers that are predicted from an image, such as an age."""

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
from l2zoo.tasks.plots import pictures
from l2zoo.tasks.scores import columns, explained, value_scores
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_number, one_of

LOSSES = {"squared": "mean_squared_error", "absolute": "mean_absolute_error", "huber": "huber"}


@suggest_arguments
@dataclass(frozen=True)
class Regression(ImageTask):
    """How a model of numbers is trained and judged. It has an output for each number, without activation.

    Attributes:
        target_names: What is predicted, D names.
        loss: `"squared"`, `"absolute"` or `"huber"`, Keras's.
        scale: By how much the numbers differ, such as their standard deviation: rounding errors of exported
            files are compared with it.
    """

    target_names: Sequence[str] = ("value",)
    loss: str = "squared"
    scale: float = 1.0
    name: ClassVar[str] = "regression"
    score: ClassVar[str] = "r2"
    objective: ClassVar[str] = "val_mae"
    class_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        one_of("loss", self.loss, tuple(LOSSES))
        check_number("scale", self.scale)

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, for Keras's `compile` and for `fit`."""
        metrics = [keras.metrics.MeanAbsoluteError("mae"), keras.metrics.RootMeanSquaredError("rmse")]
        return {"loss": LOSSES[self.loss], "metrics": metrics}

    def prepared(self, data: ImageData, *, augment: str = "none") -> Prepared:
        """The data for `fit`, as they are.

        Args:
            data: Images with numbers, `load((x, y), task="regression")`.
            augment: `"none"`: whether a number stays what it is when its image is changed, nobody knows.
        """
        return prepare_as_is(self.name, data, len(self.target_names), augment=augment)

    def measure(self, model: keras.Model, data: ImageData) -> dict[str, float]:
        """How good a model is.

        Returns:
            `mae` and `rmse`, the mean absolute and the root of the mean squared error, in the units of the
            numbers, the mean over all of them; and `r2`, the share of their variance that is explained.
        """
        wanted, found = self._answers(model, data)
        return value_scores(found, wanted)

    def scores(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """How good answers `(N, D)` are for numbers `(N,)` or `(N, D)`: `r2`, more is better, at most 1."""
        return {"r2": explained(outputs, targets)}

    def picture(self, model: keras.Model, data: ImageData, path: str | Path) -> Path:
        """Draws images with their numbers and what the model says."""
        check_numbers(self.name, model, data, len(self.target_names))
        images, wanted, found = next(predict_batches(model, data, batch_size=pictures.MOST))
        return pictures.picture_of_numbers(images, columns(wanted), columns(found), self.target_names, path)

    def _answers(self, model: keras.Model, data: ImageData) -> tuple[np.ndarray, np.ndarray]:
        check_numbers(self.name, model, data, len(self.target_names))
        parts = [(wanted, found) for _, wanted, found in predict_batches(model, data)]
        wanted, found = (columns(np.concatenate(part)) for part in zip(*parts, strict=True))
        return wanted, found
