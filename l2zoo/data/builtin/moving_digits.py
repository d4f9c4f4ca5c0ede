"""The TFDS builder `l2zoo_moving_digits`: Moving MNIST of scikit-learn's real digits, so no download.

For generators of videos. Importing this module registers the name with TFDS, so that
`tfds.load("l2zoo_moving_digits")` works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from l2zoo.data.builtin.digits import digit_images, split_positions

EXAMPLES = {"train": 2000, "test": 400}
FRAMES = 20
DIGITS = 2  # in a clip
SIZE = 28 / 64  # side of a digit, as a share of the frame's
SLOWEST, FASTEST = 0.03, 0.08  # way of a digit from frame to frame, as a share of the frame's side

_DESCRIPTION = """
Clips of 20 frames in which two handwritten digits move at constant velocities and bounce off the edges: the
form of Moving MNIST, made of the digits of `l2zoo_digits` (UCI "Optical Recognition of Handwritten Digits"),
enlarged smoothly to 28/64 of the frame.

A digit starts anywhere, in any direction, and moves by 0.03 to 0.08 of the frame's side from frame to frame;
its place is exact, between pixels too. Where digits overlap, the brighter pixel is seen. The digits of a test
clip occur in no training clip.
"""

_CITATION = """
@inproceedings{srivastava2015unsupervised,
  title={Unsupervised Learning of Video Representations using {LSTM}s},
  author={Srivastava, Nitish and Mansimov, Elman and Salakhutdinov, Ruslan},
  booktitle={International Conference on Machine Learning},
  year={2015}
}
"""


@dataclass(frozen=True)
class Clip:
    """One example.

    Attributes:
        video: `(T, H, W, 1)`, uint8.
        labels: `(2,)`: the digits.
        places: `(2, T, 2)`: top and left edge of each digit in each frame, in pixels.
    """

    video: np.ndarray
    labels: np.ndarray
    places: np.ndarray


class L2zooMovingDigits(tfds.core.GeneratorBasedBuilder):
    """Two moving digits, grey, 20 frames, 2,000 train and 400 test; config `32` (default) or `64`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - the name and kind that TFDS reads
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=side, description=f"{side}x{side} pixels") for side in ("32", "64")
    ]

    @property
    def side(self) -> int:
        """Height and width of a frame, in pixels."""
        return int(self.builder_config.name)

    def _info(self) -> tfds.core.DatasetInfo:
        digit = tfds.features.ClassLabel(names=[str(digit) for digit in range(10)])
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    # One packed tensor a clip reads faster than the 20 images of `tfds.features.Video`.
                    "video": tfds.features.Tensor(
                        shape=(FRAMES, self.side, self.side, 1),
                        dtype=np.uint8,
                        encoding=tfds.features.Encoding.ZLIB,
                    ),
                    "labels": tfds.features.Sequence(digit, length=DIGITS),
                }
            ),
            homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
            citation=_CITATION,
            license="Digits: CC BY 4.0",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in EXAMPLES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, clip in enumerate(clips(split, side=self.side)):
            yield number, {"video": clip.video, "labels": clip.labels}


def clips(split: str, *, side: int = 32, count: int | None = None) -> Iterator[Clip]:
    """The clips of a split, always the same.

    Args:
        split: `"train"` or `"test"`.
        side: Height and width of a frame, in pixels.
        count: Only so many of them.

    References:
        Srivastava et al. 2015, Unsupervised Learning of Video Representations using LSTMs, sec. 4.1. There
        the digits are those of MNIST. The authors' code moves each by 0.056 of the side, puts it on whole
        pixels, and stops it at an edge before it turns.
    """
    images, labels = digit_images()
    positions = dict(zip(("train", "test"), split_positions(labels), strict=True))[split]
    size = round(SIZE * side)
    large = {position: _enlarge(images[position, ..., 0], size) for position in positions}
    for number in range(EXAMPLES[split] if count is None else count):
        rng = np.random.default_rng((side, list(EXAMPLES).index(split), number))
        chosen = rng.choice(positions, DIGITS)
        places = _places(side, size, rng)
        layers = [draw(large[digit], place, side) for digit, place in zip(chosen, places, strict=True)]
        video = np.rint(np.maximum.reduce(layers)).astype(np.uint8)
        yield Clip(video[..., None], labels[chosen], places)


def trajectory(start: np.ndarray, velocity: np.ndarray, *, room: float, frames: int = FRAMES) -> np.ndarray:
    """The places of digits that bounce within `[0, room]`: the straight way, folded at the edges.

    Args:
        start: `(..., 2)`: the place in the first frame, in `[0, room]`.
        velocity: `(..., 2)`: what is added from frame to frame, until the first edge.
        room: What the frame is longer than a digit.
        frames: T.

    Returns:
        `(..., T, 2)`.
    """
    straight = start[..., None, :] + velocity[..., None, :] * np.arange(frames)[:, None]
    return room - np.abs(straight % (2 * room) - room)


def draw(digit: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """A digit on black at places that may lie between pixels, where it is interpolated bilinearly.

    Args:
        digit: `(size, size)`.
        places: `(T, 2)`: its top and left edge, in `[0, side - size]`.
        side: Height and width of a frame.

    Returns:
        `(T, side, side)`, with the sum and the centre of mass of the digit.
    """
    offsets = np.arange(side)[:, None] - np.arange(len(digit))  # (side, size)
    # How much of each row and column of the digit falls on those of the frame.
    rows, columns = (np.maximum(0, 1 - np.abs(offsets - axis[:, None, None])) for axis in places.T)
    return rows @ digit @ columns.transpose(0, 2, 1)


def _places(side: int, size: int, rng: np.random.Generator) -> np.ndarray:
    starts = rng.uniform(0, side - size, (DIGITS, 2))
    directions = rng.uniform(0, 2 * np.pi, DIGITS)
    speeds = rng.uniform(SLOWEST, FASTEST, DIGITS) * side
    velocities = speeds * np.array([np.sin(directions), np.cos(directions)])
    return trajectory(starts, velocities.T, room=side - size)


def _enlarge(digit: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC), np.float64)
