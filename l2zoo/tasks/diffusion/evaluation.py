"""How good drawn images are: what a classifier sees in them, how near they are to real ones, and whose."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from l2zoo.data import ImageData
from l2zoo.tasks.diffusion import sampling
from l2zoo.tasks.diffusion.feature_distances import copying, frechet_distance, nearest_neighbours
from l2zoo.tasks.diffusion.keras_sampling import denoiser_interface, sample
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_number, whole_number

FRESH = 1000  # images that are compared with the training images as new ones


@suggest_arguments
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
        fresh: More images from where the training images are from, on which nothing was trained. What they
            score is what new images score, where test images are from elsewhere, such as from another part
            of a photograph.
    """

    train: ImageData
    classifier: keras.Model | None = None
    n: int = 1000
    steps: int = 50
    guidance: float = 1.0
    seed: int = 0
    progress: bool = False
    fresh: ImageData | None = None

    def __post_init__(self) -> None:
        whole_number("n", self.n, at_least=2)
        whole_number("steps", self.steps, at_least=1)
        check_number("guidance", self.guidance)
        whole_number("seed", self.seed, at_least=0)
        taken = () if self.classifier is None else tuple(self.classifier.input_shape[1:])
        if taken and not all(t in (None, s) for t, s in zip(taken, self.train.image_shape, strict=True)):
            raise ValueError(
                f"`classifier` must take images like those of `train`, {self.train.image_shape}, got one "
                f"that takes {taken}."
            )
        if self.fresh is not None:
            self._check_shape("fresh", self.fresh)

    @property
    def says(self) -> str:
        """With how many steps and how much guidance images are drawn, in a sentence."""
        guided = "" if self.guidance == 1 else f" and a guidance of {self.guidance:g}"
        return f"Judged with {self.steps} steps of DDIM{guided}."

    def draw(self, model: keras.Model, n: int, labels: np.ndarray | None, *, progress: bool) -> np.ndarray:
        """Images as they are judged, `(n, H, W, C)`, uint8, of these labels `(n,)`; None for any."""
        return self._sample(model, n, labels, self.guidance, progress=progress)

    def measure(self, model: keras.Model, test: ImageData) -> dict[str, float]:
        """Judges what a denoiser draws.

        Args:
            model: The denoiser.
            test: Images that it has not seen.

        Returns:
            With a classifier, and a denoiser that knows classes: `class_accuracy`, how often the classifier
            sees the class that was asked for; `class_accuracy_unguided`, the same of other images that are
            drawn without guidance, if `guidance` is not 1; and `class_accuracy_real`, how often it sees the
            class of the images of `test`, which is as good as it can judge.

            `frechet`, the distance of the features from those of `test`, between `frechet_train`, that of as
            many training images, and `frechet_noise`, that of noise.

            `copying`, as in `l2zoo.tasks.copying`: the share of pairs of a sample and a test image of which
            the sample has the smaller distance to its nearest training image, by features. 0.5 for images as
            new as those of `test`, if these are from where the training images are from.
            `copying_fresh`, if there is `fresh`: what up to 1,000 images of it score in the place of samples.

            `nearest_train` and `nearest_test`: medians over samples `s` of `min over x of
            sqrt(mean((s - x) ** 2))`, for the `x` of the training and of the test images, in pixels of [0,
            255], whatever the classifier. The larger set is nearer by its size alone.

        Raises:
            TypeError: The model is no denoiser.
            ValueError: The model, or `test`, is of images of another shape than `train`.
        """
        image_shape, num_classes = denoiser_interface(model)
        if image_shape != self.train.image_shape:
            raise ValueError(
                f"`model` must draw images like those of `train`, {self.train.image_shape}, got one that "
                f"draws {image_shape}."
            )
        self._check_shape("test", test)
        labels = None if num_classes is None else np.arange(self.n) % num_classes
        images = self.draw(model, self.n, labels, progress=self.progress)
        train, unseen = self.train.arrays()[0], test.arrays()[0]
        noise = sampling.to_uint8_pixels(sampling.initial_noise(self.seed, 0, self.n, image_shape))
        drawn, known, new, blank = self._features(images, train, unseen, noise)
        measured = {} if labels is None else self._class_accuracy(model, images, labels, test)
        measured |= {
            "frechet": frechet_distance(drawn, new),
            "frechet_train": frechet_distance(known[self._random_positions(len(known), self.n)], new),
            "frechet_noise": frechet_distance(blank, new),
            "copying": copying(drawn, known, new),
        }
        if self.fresh is not None:
            others = self.fresh.arrays()[0]
            (features,) = self._features(others[self._random_positions(len(others), FRESH)])
            measured["copying_fresh"] = copying(features, known, new)
        for name, reference in (("train", train), ("test", unseen)):
            measured[f"nearest_{name}"] = float(np.median(nearest_neighbours(images, reference)[0]))
        return measured

    def _check_shape(self, name: str, data: ImageData) -> None:
        if data.image_shape != self.train.image_shape:
            raise ValueError(
                f"`{name}` must hold images like those of `train`, {self.train.image_shape}, got "
                f"{data.image_shape}."
            )

    def _class_accuracy(
        self, model: keras.Model, images: np.ndarray, labels: np.ndarray, test: ImageData
    ) -> dict[str, float]:
        """How often the classifier sees the class that it should."""
        if self.classifier is None:
            return {}
        found = {"class_accuracy": self._accuracy(images, labels)}
        if self.guidance != 1:
            plain = self._sample(model, self.n, labels, 1.0, progress=self.progress)
            found["class_accuracy_unguided"] = self._accuracy(plain, labels)
        if test.task == "classification":
            found["class_accuracy_real"] = self._accuracy(*test.arrays())
        return found

    def _accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        assert self.classifier is not None
        seen = self.classifier.predict(images, verbose=0).argmax(axis=1)
        return float((seen == labels).mean())

    def _sample(
        self, model: keras.Model, n: int, labels: np.ndarray | None, guidance: float, *, progress: bool
    ) -> np.ndarray:
        return sample(
            model, n, steps=self.steps, labels=labels, guidance=1.0 if labels is None else guidance,
            seed=self.seed, progress=progress,
        )  # fmt: skip

    def _random_positions(self, count: int, most: int) -> np.ndarray:
        """Positions of some of so many images, or of all."""
        return np.random.default_rng(self.seed).permutation(count)[:most]

    def _features(self, *sets: np.ndarray) -> list[np.ndarray]:
        if self.classifier is None:
            return [images.reshape(len(images), -1) / 255.0 for images in sets]
        features = feature_model(self.classifier)
        return [features.predict(images, verbose=0) for images in sets]


def feature_model(classifier: keras.Model) -> keras.Model:
    """What a classifier knows of an image before it tells the classes apart: the input of its last `Dense`.

    Raises:
        ValueError: It has no such layer.
    """
    dense = [layer for layer in classifier.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise ValueError(f"`classifier` must end in a Dense layer, got {classifier.name!r}, which has none.")
    return keras.Model(classifier.inputs, dense[-1].input)
