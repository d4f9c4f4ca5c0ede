"""The TFDS builder `l2zoo_scenes`: real handwritten digits on real photographs, so no download.

For detection and segmentation: every scene has boxes, classes, and masks. Importing this module registers the
name with TFDS, so that `tfds.load("l2zoo_scenes")` works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from l2zoo.data.builtin.digits import digit_images, split_positions
from l2zoo.data.builtin.photos import APART, crop, licenses, whole_photographs

EXAMPLES = {"train": 4000, "test": 1000}
MOST_DIGITS = 4
SMALLEST, LARGEST = 0.22, 0.5  # side of a digit, as a share of the image's
SOLID = 0.4  # from this opacity on a pixel belongs to a digit
ATTEMPTS = 20  # to find a place for a digit
OVERLAP = 0.2  # no digit hides more of another
CONTRAST = 80  # least distance of a tint from what is behind it, in the mean of its channels
GAP = 32  # columns of a photograph between those of train and of test

_DESCRIPTION = """
Scenes of 1 to 4 handwritten digits, of random size, place and tint, on crops of photographs, for detection
and segmentation.

The digits are those of `l2zoo_digits` (UCI "Optical Recognition of Handwritten Digits"), enlarged smoothly;
the photographs are the two that scikit-learn ships (`load_sample_images`: a temple in a landscape, a flower).
The digits of a test scene, and the part of the photograph behind them, occur in no training scene.

Boxes enclose the solid pixels of a digit that can be seen. The semantic mask is 0 for background and
1 + digit elsewhere; the instance mask numbers the objects from 1, in the order of `objects`.
"""

_APART = """
Here five photographs that scikit-image ships (`skimage.data`) are among them, and no photograph is in both
splits: train is on a temple, an astronaut, a cat, a rocket and a motorcycle, test on a flower and a cup of
coffee.
"""


@dataclass(frozen=True)
class Scene:
    """One example.

    Attributes:
        image: `(H, W, 3)`, uint8.
        boxes_xyxy: `(N, 4)`: left, top, right and bottom edge in pixels, the last two exclusive.
        labels: `(N,)`: the digits.
        instances: `(H, W)`: 0, or the number of the object from 1.
    """

    image: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    instances: np.ndarray

    @property
    def semantic(self) -> np.ndarray:
        """`(H, W)`: 0, or 1 + digit."""
        return np.concatenate([[0], 1 + self.labels]).astype(np.uint8)[self.instances]


class L2zooScenes(tfds.core.GeneratorBasedBuilder):
    """Handwritten digits on photographs, RGB, 4,000 train and 1,000 test.

    Config `64` (default) or `96`, their side; `apart_64` or `apart_96` on seven photographs, of which those
    of test are in no training scene.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and kind that TFDS reads
    BUILDER_CONFIGS = [  # noqa: RUF012
        *(tfds.core.BuilderConfig(name=side, description=f"{side}x{side} pixels") for side in ("64", "96")),
        *(
            tfds.core.BuilderConfig(
                name=f"{APART}{side}", description=f"{side}x{side} pixels, photographs apart"
            )
            for side in ("64", "96")
        ),
    ]

    @property
    def side(self) -> int:
        """Height and width of an image, in pixels."""
        return int(self.builder_config.name.removeprefix(APART))

    @property
    def apart(self) -> bool:
        """Whether test photographs are others than those of train."""
        return self.builder_config.name.startswith(APART)

    def _info(self) -> tfds.core.DatasetInfo:
        digits = [str(digit) for digit in range(10)]
        mask = tfds.features.Image(shape=(self.side, self.side, 1), dtype=np.uint8, encoding_format="png")
        image = tfds.features.Image(shape=(self.side, self.side, 3), dtype=np.uint8, encoding_format="png")
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION + (_APART if self.apart else ""),
            features=tfds.features.FeaturesDict(
                {
                    "image": image,
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(names=digits),
                        }
                    ),
                    "semantic_mask": mask,
                    "instance_mask": mask,
                }
            ),
            homepage="https://scikit-learn.org/stable/datasets/loading_other_datasets.html",
            license=f"Digits: CC BY 4.0. {licenses()}"
            if self.apart
            else "Digits: CC BY 4.0; photographs: CC BY, see load_sample_images() of scikit-learn",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in EXAMPLES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, scene in enumerate(scenes(split, side=self.side, apart=self.apart)):
            boxes = scene.boxes_xyxy / self.side
            yield (
                number,
                {
                    "image": scene.image,
                    "objects": [
                        {
                            "bbox": tfds.features.BBox(ymin=top, xmin=left, ymax=bottom, xmax=right),
                            "label": int(label),
                        }
                        for (left, top, right, bottom), label in zip(boxes, scene.labels, strict=True)
                    ],
                    "semantic_mask": scene.semantic[..., None],
                    "instance_mask": scene.instances[..., None],
                },
            )


def scenes(split: str, *, side: int = 64, count: int | None = None, apart: bool = False) -> Iterator[Scene]:
    """The scenes of a split, always the same.

    Args:
        split: `"train"` or `"test"`.
        side: Height and width of an image, in pixels.
        count: Only so many of them.
        apart: Whether they are on `whole_photographs` rather than on `backgrounds`.
    """
    images, labels = digit_images()
    positions = dict(zip(("train", "test"), split_positions(labels), strict=True))[split]
    photographs = whole_photographs(split) if apart else backgrounds(split)
    for number in range(EXAMPLES[split] if count is None else count):
        rng = np.random.default_rng((side, list(EXAMPLES).index(split), number))
        yield _scene(images[positions, ..., 0], labels[positions], photographs, side=side, rng=rng)


def backgrounds(split: str) -> list[np.ndarray]:
    """The parts of scikit-learn's photographs that belong to a split, `(H, W, 3)`, uint8."""
    from sklearn.datasets import load_sample_images

    parts = []
    for photograph in load_sample_images().images:
        edge = int(photograph.shape[1] * 0.72)
        parts.append(photograph[:, :edge] if split == "train" else photograph[:, edge + GAP :])
    return parts


def _scene(
    digits: np.ndarray,
    labels: np.ndarray,
    photographs: list[np.ndarray],
    *,
    side: int,
    rng: np.random.Generator,
) -> Scene:
    photograph = photographs[rng.integers(len(photographs))]
    largest = min(photograph.shape[:2]) // 2 + side // 2 - 1
    image = crop(photograph, side, largest=largest, rng=rng).astype(np.float64)
    instances = np.zeros((side, side), np.uint8)
    found: list[int] = []
    for _ in range(rng.integers(1, MOST_DIGITS + 1)):
        chosen = rng.integers(len(digits))
        for _ in range(ATTEMPTS):
            opacity = _place(digits[chosen], side, rng)
            solid = opacity >= SOLID
            if not _hides_too_much(solid, instances):
                break
        else:
            continue  # a crowded scene has one digit less
        found.append(int(labels[chosen]))
        instances[solid] = len(found)
        tint = _tint(image[solid], rng)
        image += opacity[..., None] * (tint - image)
    boxes = [_box(instances == number) for number in range(1, len(found) + 1)]
    return Scene(np.rint(image).astype(np.uint8), np.array(boxes), np.array(found), instances)


def _place(digit: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """The opacity of a digit, enlarged and put somewhere in an empty image, `(side, side)` in [0, 1]."""
    from PIL import Image

    size = int(rng.uniform(SMALLEST, LARGEST) * side)
    large = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)) / 255
    top, left = rng.integers(side - size + 1, size=2)
    opacity = np.zeros((side, side))
    opacity[top : top + size, left : left + size] = large
    return opacity


def _hides_too_much(solid: np.ndarray, instances: np.ndarray) -> bool:
    """Whether a new digit would hide too much of one that is there, or lie on it with too much of itself."""
    shared = np.bincount(instances[solid], minlength=instances.max() + 1)[1:]
    areas = np.bincount(instances.ravel(), minlength=instances.max() + 1)[1:]
    return bool((shared > OVERLAP * np.minimum(areas, solid.sum())).any())


def _tint(behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour that can be told from what is behind it, `(3,)` in [0, 255]."""
    while True:
        tint = rng.uniform(0, 256, 3)
        if abs(tint.mean() - behind.mean()) >= CONTRAST:
            return np.minimum(tint, 255)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
