"""Parity: does an exported file answer like the Keras model, example by example?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from l2zoo.artifacts.inputs import Inputs, Outputs, Predict, num_examples, take_rows
from l2zoo.artifacts.parity.metrics import Tally
from l2zoo.tasks.output_kind import OutputKind

Measure = Callable[[Any], Mapping[str, float]]
"""The outputs for the whole sample, as an array if there is but one of no name, else by name; to metrics by
name, of which more is better."""

_BATCH = 32
_SLACK = 1e-9  # 0.97 - 0.96 is a little more than 0.01


@dataclass(frozen=True)
class Parity:
    """How far a file's answers are from the Keras model's, over all outputs and examples.

    Args:
        images: Number of examples compared.
        max_abs_diff: Largest absolute difference of any output number.
        mean_abs_diff: Mean absolute difference over all output numbers.
        argmax_agreement: Share in [0, 1] of decisions that agree, in outputs with classes (the likeliest
            class; of two classes and of independent ones, what is beyond the threshold); None when there are
            none.
        relative_diff: Mean absolute difference in standard deviations of the output, the largest of the
            outputs without classes; None when there are none.
        worst_image: Index, in the sample, of the example with the largest difference.
        metrics: Name to the metric of the model, `"model"`, and of the file, `"file"`, on these examples.
        limits: Name of a figure to its limit; all must hold.
        final_boxes: Whether the outputs are the boxes of a detector, between which rounding may decide.
    """

    images: int
    max_abs_diff: float
    mean_abs_diff: float
    argmax_agreement: float | None
    relative_diff: float | None
    worst_image: int
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    final_boxes: bool = False

    @property
    def metric_drop(self) -> float | None:
        """By how much the metric falls that falls most; below 0 when all rise, None without metrics."""
        return max((pair["model"] - pair["file"] for pair in self.metrics.values()), default=None)

    @property
    def broken(self) -> list[str]:
        """The figures that do not keep their limit."""
        return [name for name, limit in self.limits.items() if not self._keeps(name, limit)]

    @property
    def holds(self) -> bool:
        """Whether every figure keeps its limit."""
        return not self.broken

    def _keeps(self, name: str, limit: float) -> bool:
        figure = getattr(self, name)
        if figure is None:
            return False
        if name == "argmax_agreement":
            return figure >= limit
        return figure <= limit + (_SLACK if name == "metric_drop" else 0)


LIMITED = ("max_abs_diff", "mean_abs_diff", "argmax_agreement", "relative_diff", "metric_drop")
"""The figures that may have a limit."""


def batches(inputs: Inputs, expected: Predict | Outputs) -> Iterator[tuple[Inputs, Outputs]]:
    """Batches as they are fed, with the outputs expected for them: computed now, or stored arrays."""
    for start in range(0, num_examples(inputs), _BATCH):
        rows = slice(start, start + _BATCH)
        batch = take_rows(inputs, rows)
        if isinstance(expected, Mapping):
            yield batch, {name: array[rows] for name, array in expected.items()}
        else:
            yield batch, expected(batch)


def compare(
    expected: Iterable[tuple[Inputs, Outputs]],
    files: Mapping[str, Predict],
    *,
    measure: Measure | None = None,
    kinds: Mapping[str, OutputKind] = MappingProxyType({}),
) -> dict[str, Parity]:
    """Runs every file on every batch and measures its distance to the expected outputs.

    Args:
        expected: Batches of inputs with the Keras model's answers.
        files: Format name to its predict function.
        measure: Gives the metrics of model and file. All outputs are held in memory for it.
        kinds: What outputs mean, by their names, where it is known: logits are compared as the probabilities
            that are made of them. Of the others, those whose numbers are shares of 1 have classes.

    Returns:
        Format name to the figures, without limits.

    Raises:
        ValueError: An answer is NaN or infinite, or has other outputs or shapes than the model's.
    """
    tallies = {name: Tally(name, kinds) for name in files}
    kept: dict[str, list[Outputs]] = {name: [] for name in ("", *files)}  # "" is the Keras model
    for inputs, outputs in expected:
        answers = {"": outputs, **{name: predict(inputs) for name, predict in files.items()}}
        for name, tally in tallies.items():
            tally.add(outputs, answers[name])
        if measure is not None:
            for name, found in answers.items():
                kept[name].append(found)
    metrics = {name: {} if measure is None else _metrics(measure, parts) for name, parts in kept.items()}
    return {
        name: Parity(
            images=tally.examples,
            max_abs_diff=tally.largest,
            mean_abs_diff=tally.mean_abs_diff,
            argmax_agreement=tally.argmax_agreement,
            relative_diff=tally.relative_diff,
            worst_image=tally.worst,
            final_boxes=tally.final_boxes,
            metrics={key: {"model": value, "file": metrics[name][key]} for key, value in metrics[""].items()},
        )
        for name, tally in tallies.items()
    }


def _metrics(measure: Measure, parts: list[Outputs]) -> dict[str, float]:
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = measure(outputs["output_0"] if list(outputs) == ["output_0"] else outputs)
    expected = "`measure` must give finite numbers by name, of which more is better, such as"
    if not isinstance(found, Mapping) or not found:
        raise TypeError(f'{expected} {{"accuracy": 0.97}}, got {found!r}.')
    numbers = {str(name): float(value) for name, value in found.items()}
    if not all(math.isfinite(value) for value in numbers.values()):
        raise ValueError(f'{expected} {{"accuracy": 0.97}}, got {found!r}.')
    return numbers
