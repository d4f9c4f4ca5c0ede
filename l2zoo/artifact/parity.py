"""Parity: does an exported file answer like the Keras model, image by image?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from l2zoo.artifact.matching import matched
from l2zoo.artifact.sample import Outputs

Predict = Callable[[np.ndarray], Outputs]
"""Images `(B, H, W, C)`, float32, to named outputs of `B` rows each."""

_BATCH = 32


@dataclass(frozen=True)
class Parity:
    """How far a file's answers are from the Keras model's, over all outputs and images.

    Args:
        images: Number of images compared.
        max_abs_diff: Largest absolute difference of any output number.
        mean_abs_diff: Mean absolute difference over all output numbers.
        argmax_agreement: Share in [0, 1] of decisions (argmax over the last axis) that agree; None when
            no output has two or more numbers on its last axis.
        worst_image: Index, in the sample, of the image with the largest difference.
        tolerance: Largest `max_abs_diff` allowed.
    """

    images: int
    max_abs_diff: float
    mean_abs_diff: float
    argmax_agreement: float | None
    worst_image: int
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the largest difference is within the tolerance."""
        return self.max_abs_diff <= self.tolerance


def batches(images: np.ndarray, expected: Predict | Outputs) -> Iterator[tuple[np.ndarray, Outputs]]:
    """Batches of float32 images with the outputs expected for them: computed now, or stored arrays."""
    for start in range(0, len(images), _BATCH):
        rows = slice(start, start + _BATCH)
        batch = images[rows].astype(np.float32)
        if isinstance(expected, Mapping):
            yield batch, {name: array[rows] for name, array in expected.items()}
        else:
            yield batch, expected(batch)


def compare(
    expected: Iterable[tuple[np.ndarray, Outputs]],
    files: Mapping[str, Predict],
    tolerances: Mapping[str, float],
) -> dict[str, Parity]:
    """Runs every file on every batch and measures its distance to the expected outputs.

    Args:
        expected: Batches of images with the Keras model's answers.
        files: Format name to its predict function.
        tolerances: Format name to the largest absolute difference allowed.

    Returns:
        Format name to the figures.

    Raises:
        ValueError: An answer is NaN or infinite, or has other outputs or shapes than the model's.
    """
    tallies = {name: _Tally(name) for name in files}
    for images, outputs in expected:
        for name, predict in files.items():
            tallies[name].add(outputs, matched(outputs, predict(images)))
    return {name: tally.parity(tolerances[name]) for name, tally in tallies.items()}


def problems(parity: Mapping[str, Parity]) -> list[str]:
    """One sentence for each format whose parity does not hold."""
    return [
        f"{name} does not answer like the Keras model: the largest absolute difference over "
        f"{found.images} images is {found.max_abs_diff:.3g} (mean {found.mean_abs_diff:.3g}, argmax agrees "
        f"on {_percent(found.argmax_agreement)}), worst at image {found.worst_image}; at most "
        f"{found.tolerance:.3g} is allowed."
        for name, found in parity.items()
        if not found.holds
    ]


def table(parity: Mapping[str, Parity], sizes: Mapping[str, tuple[str, int]]) -> str:
    """The figures as a Markdown table; `sizes` gives the path and the bytes of each format."""
    rows = [
        "| format | file | bytes | images | max abs diff | mean abs diff | same argmax | limit |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    rows += [
        f"| {name} | `{sizes[name][0]}` | {sizes[name][1]:,} | {found.images} | {found.max_abs_diff:.2g} "
        f"| {found.mean_abs_diff:.2g} | {_percent(found.argmax_agreement)} | {found.tolerance:.2g} |"
        for name, found in parity.items()
    ]
    return "\n".join(rows)


def _percent(share: float | None) -> str:
    # Rounded down: 100 % is said of nothing less.
    return "-" if share is None else f"{np.floor(share * 1e4) / 100:g} %"


@dataclass
class _Tally:
    """Running figures of one format, so that no more than a batch of outputs is held."""

    name: str
    images: int = 0
    largest: float = -1.0
    worst: int = 0
    total: float = 0.0
    numbers: int = 0
    agreed: int = 0
    decisions: int = 0

    def add(self, expected: Outputs, got: Outputs) -> None:
        if expected.keys() != got.keys():
            raise ValueError(f"{self.name} has outputs {sorted(got)}, the Keras model {sorted(expected)}.")
        for key, wanted in expected.items():
            self._add_output(key, np.asarray(wanted, np.float64), np.asarray(got[key], np.float64))
        self.images += len(next(iter(expected.values())))

    def _add_output(self, key: str, wanted: np.ndarray, answered: np.ndarray) -> None:
        if wanted.shape != answered.shape:
            raise ValueError(
                f"{self.name} answers {key!r} with shape {answered.shape}, "
                f"the Keras model with {wanted.shape}."
            )
        self._check_finite("The Keras model", key, wanted)
        self._check_finite(self.name, key, answered)
        differences = np.abs(answered - wanted)
        by_image = differences.reshape(len(differences), -1).max(axis=1)
        if by_image.max() > self.largest:
            self.largest, self.worst = float(by_image.max()), self.images + int(by_image.argmax())
        self.total += float(differences.sum())
        self.numbers += differences.size
        if wanted.ndim > 1 and wanted.shape[-1] > 1:
            same = wanted.argmax(axis=-1) == answered.argmax(axis=-1)
            self.agreed += int(same.sum())
            self.decisions += same.size

    def _check_finite(self, who: str, key: str, values: np.ndarray) -> None:
        broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if broken.any():
            raise ValueError(
                f"{who} answers {key!r} with NaN or infinity, first for image "
                f"{self.images + int(broken.argmax())} of the sample. Look for weights that are not finite, "
                "and for a division by zero in the model."
            )

    def parity(self, tolerance: float) -> Parity:
        return Parity(
            images=self.images,
            max_abs_diff=self.largest,
            mean_abs_diff=self.total / self.numbers,
            argmax_agreement=self.agreed / self.decisions if self.decisions else None,
            worst_image=self.worst,
            tolerance=tolerance,
        )
