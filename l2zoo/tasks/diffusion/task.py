"""Generation: new images like those of a data set, by learning to take noise out of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from l2zoo.data import ImageData, provenance
from l2zoo.data.prepared import Prepared
from l2zoo.tasks.augmentation import augmentation
from l2zoo.tasks.diffusion.evaluation import Judge
from l2zoo.tasks.diffusion.keras_sampling import denoiser_interface
from l2zoo.tasks.diffusion.noising import DRAWS, AddNoise, NoisyData, map_with_positions
from l2zoo.tasks.plots.generated import COLUMNS, picture_of_samples
from l2zoo.utils.arguments import suggest_arguments

UNFIT = ("mixup", "cutmix", "erase")  # what they make of images would be drawn
ROWS = 4  # of images in a picture


@suggest_arguments
@dataclass(frozen=True)
class Generation:
    """How a denoiser is trained and judged.

    The loss is the mean squared error of the velocity (`l2zoo.tasks.diffusion.schedule`). Who always says 0
    has half of 1 plus the mean square of the images, scaled to [-1, 1].

    Attributes:
        class_names: K names; none for a model without classes.
        judge: Looks at drawn images too when a model is measured, and decides the steps and the guidance of
            those in the picture. It is for judging alone: a search or a training does not ask it.
    """

    class_names: Sequence[str] = ()
    judge: Judge | None = None
    name: ClassVar[str] = "generation"
    score: ClassVar[str] = "denoising_loss"
    objective: ClassVar[str] = "val_data_loss"
    scale: ClassVar[float] = 1.0

    @property
    def says(self) -> str:
        """For a card: how the images were drawn that the figures are of; empty where none were."""
        return "" if self.judge is None else self.judge.says

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, for Keras's `compile` and for `fit`."""
        return {"loss": keras.losses.MeanSquaredError(), "metrics": []}

    def prepared(self, data: ImageData, *, augment: str = "none") -> Prepared:
        """The data with noise in it, for `fit`: images, times and labels, and the velocity.

        In training, noise and times are new in every epoch, and a tenth of the labels become "any". For
        validation, each image has one noise and one time for good, which depend on its position alone, so
        that losses can be compared between epochs, strengths and runs; the times of consecutive images are
        spread evenly over [0, 1].

        `arrays()`, on which a search trains, is made in the same way: a search sees each image in one noise
        only, which is easier to memorise than noise that is always new. So it may ask for more L2 than the
        real training needs. Give it many images: below some hundreds a fold, times are few.

        Args:
            data: Images, with labels if the model knows classes.
            augment: What `augmentation` takes for "classification", without mixing: the model will draw what
                augmentation has made.

        Raises:
            TypeError: `data` is no `ImageData`.
            ValueError: The classes of `data` are others; an augmentation that mixes images or hides parts.
        """
        self._check_classes(data)
        if any(kind in augment for kind in UNFIT):
            raise ValueError(
                f"`augment` must not mix images or hide parts, which would be drawn so, got {augment!r}."
            )
        change = augmentation(augment, task="classification", image_shape=data.image_shape)
        words = {"task": self.name, "classes": len(self.class_names), "augment": augment}
        return NoisyData(data, AddNoise(len(self.class_names), change), words)

    def check(self, model: keras.Model, data: ImageData) -> None:
        """Raises if a model cannot be measured on images: best before it is trained.

        Args:
            model: A denoiser, trained or not.
            data: Images.

        Raises:
            TypeError: The model is no denoiser, `data` is no `ImageData`.
            ValueError: The images are of another shape than the model's, or of other classes.
        """
        self._check_classes(data)
        image_shape, num_classes = denoiser_interface(model)
        if (num_classes or 0) != len(self.class_names):
            raise ValueError(
                f"`model` must know the {len(self.class_names)} classes of `class_names`, got one of "
                f"num_classes={num_classes}."
            )
        if data.image_shape != image_shape:
            raise ValueError(
                f"`data` must hold images of shape (H, W, C)={image_shape}, those of the model, got "
                f"{data.image_shape}. Load them with image_size={image_shape[:2]}."
            )

    def _check_classes(self, data: ImageData) -> None:
        if not isinstance(data, ImageData):
            raise TypeError(f"`data` must be an ImageData from l2zoo.data.load, got {type(data).__name__}.")
        if self.class_names and data.task != "classification":
            raise ValueError(f"`data` must have labels for {len(self.class_names)} classes, got {data!r}.")
        if self.class_names and data.num_classes != len(self.class_names):
            raise ValueError(
                f"`data` must have the {len(self.class_names)} classes of `class_names`, got "
                f"{data.num_classes}."
            )

    def measure(self, model: keras.Model, data: ImageData) -> dict[str, float]:
        """How good a model is at taking noise out of images it has not seen.

        Returns:
            `denoising_loss`, the mean squared error of the velocity over four fixed noises and times an
            image, and the same for little, middle and much noise: times below 1/3, to 2/3, and above; and
            what the judge finds, if there is one.

        Raises:
            TypeError: As `check`.
            ValueError: As `check`.
        """
        self.check(model, data)
        prepare = AddNoise(len(self.class_names))
        times, errors = [], []
        for draw in range(DRAWS):
            batches = map_with_positions(data, 64, functools.partial(prepare.fixed, draw=draw))
            for inputs, v in batches.as_numpy_iterator():
                found = np.asarray(model.predict_on_batch(inputs))
                errors.append(np.square(found - v).mean(axis=(1, 2, 3), dtype=np.float64))
                times.append(inputs["times"])
        time, error = np.concatenate(times), np.concatenate(errors)
        measured = {"denoising_loss": float(error.mean())}
        for third, word in enumerate(("little", "middle", "much")):
            inside = error[np.minimum((time * 3).astype(int), 2) == third]
            if inside.size:
                measured[f"denoising_loss_{word}_noise"] = float(inside.mean())
        return measured if self.judge is None else measured | self.judge.measure(model, data)

    def scores(self, outputs: np.ndarray, velocities: np.ndarray) -> dict[str, float]:
        """How good answers `(N, H, W, C)` are: `explained`, 1 less their share of the mean square missed."""
        missed = np.square(outputs.astype(np.float64) - velocities).mean()
        return {"explained": float(1 - missed / np.square(velocities, dtype=np.float64).mean())}

    def examples(self, model: keras.Model, data: ImageData, most: int) -> tuple[dict[str, Any], np.ndarray]:
        """The first images with noise in them, as the deployed model takes them, and their velocities."""
        del model
        batches = map_with_positions(
            data, min(most, data.num_examples), AddNoise(len(self.class_names)).fixed
        )
        return next(batches.as_numpy_iterator())

    def deployed(self, model: keras.Model) -> keras.Model:
        """The model as it is exported: the same, without what belongs to training."""
        return provenance.hand_on(model, keras.Model(model.input, model.output, name=model.name))

    def picture(self, model: keras.Model, data: ImageData, path: str | Path) -> Path:
        """Draws new images, those of a class below each other if the model knows classes.

        They are drawn as the judge draws, or, without one, as `sample` does of itself.

        Args:
            model: A denoiser.
            data: Not looked at; there for the likeness to other tasks.
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        """
        names = list(self.class_names)[:COLUMNS]
        labels = np.arange(ROWS * COLUMNS) % COLUMNS % len(names) if names else None
        judge = self.judge or Judge(data)
        images = judge.draw(model, ROWS * COLUMNS, labels, progress=False)
        return picture_of_samples(images, path, labels=labels, class_names=self.class_names)
