"""The TFDS builder `l2zoo_photos`: crops of photographs that come with packages, so no download.

For generators of images: small, real and in colour. The photographs are scikit-learn's and scikit-image's.
Importing this module registers the name with TFDS, so that `tfds.load("l2zoo_photos")` works. What is called
`apart_...` needs scikit-image; the other names mean the same data whether it is installed or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

EXAMPLES = {"train": 4000, "test": 500}
TEST_COLUMNS = {"landscape": 192, "flower": 256}  # of 640, the left ones: temple and flower are on both sides
GAP = 32  # columns of a photograph between those of test and of train
LARGEST = 192  # side of a square that is scaled down to an image, in pixels of the photograph

APART = "apart_"  # begins the names of configs whose test photographs are others than those of train
# Name in scikit-learn or scikit-image: the split that it belongs to, and its licence.
PHOTOGRAPHS = {
    "china": ("train", "CC BY"),
    "astronaut": ("train", "public domain, NASA"),
    "chelsea": ("train", "CC0"),
    "rocket": ("train", "public domain, SpaceX"),
    "stereo_motorcycle": ("train", "Middlebury Stereo 2014"),
    "flower": ("test", "CC BY"),
    "coffee": ("test", "CC0"),
}

_APART = """
Square crops of random size and place of seven photographs: the two that scikit-learn ships
(`load_sample_images`) and five that scikit-image ships (`skimage.data`), for generators of images. Crops are
made as in `l2zoo_photos/32`. No photograph is in both splits: train is of a temple, an astronaut, a cat, a
rocket and a motorcycle, test of a flower and a cup of coffee. There are no labels.
"""

_DESCRIPTION = """
Square crops of random size and place of the two photographs that scikit-learn ships (`load_sample_images`: a
temple in a landscape, a flower), for generators of images.

A crop is a square from the side of the image to 192 pixels, of a photograph 427 high, scaled down with
antialiasing; half of them are mirrored. Test crops are of the left of a photograph, up to within the temple
or the flower, and train crops of what lies 32 columns and more to the right of that: no pixel is in both.
"""


class L2zooPhotos(tfds.core.GeneratorBasedBuilder):
    """Crops of photographs, RGB, 4,000 train and 500 test.

    Config `32` (default) or `64`, their side; `apart_32` or `apart_64` with other photographs in test than in
    train.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and kind that TFDS reads
    BUILDER_CONFIGS = [  # noqa: RUF012
        *(tfds.core.BuilderConfig(name=side, description=f"{side}x{side} pixels") for side in ("32", "64")),
        *(
            tfds.core.BuilderConfig(
                name=f"{APART}{side}", description=f"{side}x{side} pixels, photographs apart"
            )
            for side in ("32", "64")
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
        shape = (self.side, self.side, 3)
        image = {"image": tfds.features.Image(shape=shape, dtype=np.uint8, encoding_format="png")}
        if self.apart:
            return tfds.core.DatasetInfo(
                builder=self,
                description=_APART,
                features=tfds.features.FeaturesDict(image),
                homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
                license=licenses(),
            )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {**image, "label": tfds.features.ClassLabel(names=list(TEST_COLUMNS))}
            ),
            supervised_keys=("image", "label"),
            homepage="https://scikit-learn.org/stable/datasets/loading_other_datasets.html",
            license="CC BY, see load_sample_images() of scikit-learn",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in EXAMPLES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, (image, label) in enumerate(crops(split, side=self.side, apart=self.apart)):
            yield number, {"image": image} if self.apart else {"image": image, "label": label}


def crops(
    split: str, *, side: int = 32, count: int | None = None, apart: bool = False
) -> Iterator[tuple[np.ndarray, int]]:
    """The images `(H, W, 3)`, uint8, of a split and the numbers of their photographs, always the same.

    Args:
        split: `"train"` or `"test"`.
        side: Height and width of an image, in pixels.
        count: Only so many of them.
        apart: Whether they are of `whole_photographs` rather than of `regions`.
    """
    photographs = whole_photographs(split) if apart else regions(split)
    for number in range(EXAMPLES[split] if count is None else count):
        rng = np.random.default_rng((side, list(EXAMPLES).index(split), number))
        label = int(rng.integers(len(photographs)))
        yield crop(photographs[label], side, largest=LARGEST, rng=rng), label


def regions(split: str) -> list[np.ndarray]:
    """The parts of scikit-learn's photographs that belong to a split, `(H, W, 3)`, uint8, in their order."""
    from sklearn.datasets import load_sample_images

    both = zip(load_sample_images().images, TEST_COLUMNS.values(), strict=True)
    if split == "test":
        return [photograph[:, :edge] for photograph, edge in both]
    return [photograph[:, edge + GAP :] for photograph, edge in both]


def whole_photographs(split: str) -> list[np.ndarray]:
    """The photographs of `PHOTOGRAPHS` that belong to a split, `(H, W, 3)`, uint8, in their order.

    Raises:
        ImportError: scikit-image is not installed.
    """
    from sklearn.datasets import load_sample_image

    data = import_scikit_image("Photographs of which those of test are in none of train")
    found = []
    for name in (name for name, (part, _) in PHOTOGRAPHS.items() if part == split):
        if name in ("china", "flower"):
            found.append(load_sample_image(f"{name}.jpg"))
        else:
            photograph = getattr(data, name)()
            found.append(photograph[0] if isinstance(photograph, tuple) else photograph)  # the left of two
    return found


def licenses() -> str:
    """What is said of the licences of `PHOTOGRAPHS`."""
    each = ", ".join(f"{name} {terms}" for name, (_, terms) in PHOTOGRAPHS.items())
    return f"Photographs: {each}; see load_sample_images() of scikit-learn and skimage.data"


def import_scikit_image(what: str) -> Any:
    """The pictures of scikit-image, `skimage.data`.

    Args:
        what: Needs them, at the beginning of a sentence.

    Raises:
        ImportError: It is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError(
            f'{what} come with scikit-image, which cannot be imported ({error}): pip install "l2zoo[photos]".'
        ) from error
    return data


def crop(photograph: np.ndarray, side: int, *, largest: int, rng: np.random.Generator) -> np.ndarray:
    """A square of random size and place, scaled to the side with antialiasing, half of them mirrored.

    Args:
        photograph: `(H, W, 3)`, uint8.
        side: Of the result, and the least side of the square, in pixels.
        largest: The greatest side of the square, at most H and W.
        rng: Decides size, place and mirroring.

    Returns:
        `(side, side, 3)`, uint8.
    """
    from PIL import Image

    size = int(rng.integers(side, largest + 1))
    top, left = (int(rng.integers(length - size + 1)) for length in photograph.shape[:2])
    square = Image.fromarray(photograph[top : top + size, left : left + size])
    scaled = np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))
    return scaled[:, ::-1] if rng.integers(2) else scaled
