"""What tasks of images share: what is measured is what is deployed, and how classes are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras

from l2zoo.data import ImageData, provenance
from l2zoo.tasks.checks import check_classes, check_data, check_outputs, first_batch, predict_batches
from l2zoo.tasks.infer_output_kind import exclusive_kind


class ImageTask:
    """A task whose models are deployed as they were trained: from images to what the targets are."""

    def examples(self, model: keras.Model, data: ImageData, most: int) -> tuple[Any, Any]:
        """The first images, as the deployed model takes them, and their targets."""
        del model
        return first_batch(data, most)

    def deployed(self, model: keras.Model) -> keras.Model:
        """The model as it is exported: the same, without what belongs to training."""
        return provenance.hand_on(model, keras.Model(model.inputs, model.outputs, name=model.name))


class ClassTask(ImageTask):
    """A task of which a model says one of several classes, of an image or of each pixel.

    A dataclass that has these two among its fields, and a `name`.
    """

    class_names: Sequence[str]
    output_kind: str | None
    name: ClassVar[str]

    def judging(self, model: keras.Model, data: ImageData) -> Self:
        """The same task, for what this model gives; `scores` then knows what its answers mean."""
        self._check(model, data)
        _, _, outputs = next(predict_batches(model, data))
        kind = exclusive_kind(model, outputs, said=self.output_kind)
        return dataclasses.replace(self, output_kind=kind.name)  # type: ignore[type-var]

    def _check(self, model: keras.Model, data: ImageData) -> None:
        check_data(self.name, self.class_names, data)
        check_outputs(self.name, model)
        check_classes(model, self._num_classes, who="The task", binary=True)

    @property
    def _num_classes(self) -> int:
        return len(self.class_names)
