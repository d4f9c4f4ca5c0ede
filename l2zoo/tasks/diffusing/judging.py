"""How good drawn images are: what a classifier sees in them, how near they are to real ones, and whose."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from l2zoo.arguments import whole_number
from l2zoo.data import ImageData
from l2zoo.tasks.diffusing import sampling
from l2zoo.tasks.diffusing.drawing import sample
from l2zoo.tasks.diffusing.frechet import frechet_distance
from l2zoo.tasks.diffusing.neighbours import copying


@dataclass(frozen=True, eq=False)
class Judge:
    """Draws images from a denoiser and judges them.

    Attributes:
        train: What the denoiser was trained on.
        classifier: Of the same images and classes, whose last features, before the layer that tells the
            classes apart, say how near images are to each other. None: their pixels / 255 do.
        n: How many images are drawn, at least 2, of each class as many.
        steps: As in `sample`.
        guidance: As in `sample`, for a denoiser that knows classes.
        seed: As in `sample`.
        progress: As in `sample`: drawing takes minutes.
    """

    train: ImageData
    classifier: keras.Model | None = None
    n: int = 1000
    steps: int = 50
    guidance: float = 1.0
    seed: int = 0
    progress: bool = False

    def __post_init__(self) -> None:
        whole_number("n", self.n, at_least=2)

    def measure(self, model: keras.Model, test: ImageData) -> dict[str, float]:
        """Judges what a denoiser draws.

        Args:
            model: The denoiser.
            test: Images that it has not seen.

        Returns:
            `class_accuracy`, how often the classifier sees the class that was asked for, if there are one
            and classes; `frechet`, the distance of the features from those of `test`, between
            `frechet_train`, that of as many training images, and `frechet_noise`, that of noise; and
            `copying`, as in `l2zoo.tasks.diffusing.neighbours`: 0.5 for images as new as those of `test`.

        Raises:
            ValueError: The classifier is for other images.
        """
        labels = None
        if isinstance(model.input, dict) and "labels" in model.input:
            labels = np.arange(self.n) % (model.get_layer("label").input_dim - 1)
        guidance = 1.0 if labels is None else self.guidance
        images = sample(
            model, self.n, steps=self.steps, labels=labels, guidance=guidance, seed=self.seed,
            progress=self.progress,
        )  # fmt: skip
        train, unseen = self.train.arrays()[0], test.arrays()[0]
        noise = sampling.as_pixels(sampling.first_noise(self.seed, 0, self.n, images.shape[1:]))
        some = np.random.default_rng(self.seed).permutation(len(train))[: self.n]
        drawn, known, new, blank = self._features(images, train, unseen, noise)
        measured = {}
        if labels is not None and self.classifier is not None:
            found = self.classifier.predict(images, verbose=0)
            measured["class_accuracy"] = float((found.argmax(axis=1) == labels).mean())
        return measured | {
            "frechet": frechet_distance(drawn, new),
            "frechet_train": frechet_distance(known[some], new),
            "frechet_noise": frechet_distance(blank, new),
            "copying": copying(drawn, known, new),
        }

    def _features(self, *sets: np.ndarray) -> list[np.ndarray]:
        if self.classifier is None:
            return [images.reshape(len(images), -1) / 255.0 for images in sets]
        features = features_of(self.classifier)
        return [features.predict(images, verbose=0) for images in sets]


def features_of(classifier: keras.Model) -> keras.Model:
    """What a classifier knows of an image before it tells the classes apart: the input of its last `Dense`.

    Raises:
        ValueError: It has no such layer.
    """
    dense = [layer for layer in classifier.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise ValueError(f"`classifier` must end in a Dense layer, got {classifier.name!r}, which has none.")
    return keras.Model(classifier.inputs, dense[-1].input)
