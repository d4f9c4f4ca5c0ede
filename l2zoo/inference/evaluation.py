"""`Evaluation`: how good an exported file is on data that came later, as a table, pictures and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.artifacts.inputs import Outputs
from l2zoo.inference import evaluation_plots
from l2zoo.inference.evaluation_data import EvaluationData
from l2zoo.inference.judges import Case, Judge, Row
from l2zoo.inference.plots import describe
from l2zoo.inference.results import Result
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Column, Table, cell
from l2zoo.utils.validation import one_of

MOST = 12  # of the worst images that are kept
SHOWN = 5  # of them in a terminal
_DIGITS = 6  # of a float32 that mean something
_COUNTS = ("images", "pixels", "objects")

Run = Callable[[np.ndarray], tuple[Outputs, Sequence[Result]]]
"""Images as a model takes them, to its answers and what they say in the images' own pixels."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Printed):
    """What `Predictor.evaluate` found. Rich and notebooks show the tables too.

    Attributes:
        artifact: The artifact's folder.
        format: The format that ran.
        task: What it is for, as the data have it.
        data: Name and split of what it was judged on.
        num_examples: How many images.
        class_names: Of the artifact.
        metrics: Those that the task measures, by name.
        exported: The same metrics as the artifact's card has them, where it does.
        classes: Figures of each class, or of each number that is predicted; None where there is none.
        matrix: How often each true class (row) was taken for each (column), `(K, K)`; None of what is no
            classification into one of several classes.
        worst: The images on which the file is furthest off, the worst first.
    """

    artifact: str
    format: str
    task: str
    data: str
    num_examples: int
    class_names: tuple[str, ...]
    metrics: Mapping[str, float]
    exported: Mapping[str, float]
    classes: Sequence[Row] = field(repr=False)
    matrix: np.ndarray | None = field(repr=False)
    worst: Sequence[Case] = field(repr=False)

    def table(self) -> Table:
        """A row for each metric, beside what the card says of it."""
        columns: list[Column | str] = ["metric", Column("here")]
        columns += [Column("in the card")] if self.exported else []
        rows = [
            [name, *(cell(one, "{:.4f}") for one in [value, *self._stated(name)])]
            for name, value in self.metrics.items()
        ]
        return Table.of(columns, rows)

    def class_table(self) -> Table:
        """A row for each class, or for each number that is predicted."""
        first = self.classes[0] if self.classes else {"name": ""}
        names = [name for name in first if name != "name"]
        rows = [
            [one["name"], *(cell(one[name], "{:,}" if name in _COUNTS else "{:.4f}") for name in names)]
            for one in self.classes
        ]
        return Table.of(["class" if self.class_names else "number", *map(Column, names)], rows)

    def worst_table(self, most: int = MOST) -> Table:
        """A row for each of the images on which the file is furthest off."""
        rows = [
            [one.name, one.true, describe(one.result), cell(one.error, "{:.3f}")] for one in self.worst[:most]
        ]
        return Table.of(["worst images", "true", "said", Column("error")], rows)

    def plot(self, path: str | Path, *, kind: str = "auto") -> Path:
        """Draws a picture; PNG, SVG or PDF by suffix.

        Args:
            path: Where to.
            kind: `"confusion"`, which class was taken for which; `"worst"`, the images on which the file is
                furthest off, with what is true; `"auto"` is the first where there is one.

        Raises:
            ValueError: The kind is another, the suffix is, or no image has one of several classes.
        """
        one_of("kind", kind, ("auto", "confusion", "worst"))
        if kind == "confusion" and self.matrix is None:
            raise ValueError(
                f"`kind` must be 'worst' for {self.task}: only images with one of several classes have a "
                "confusion."
            )
        if kind == "worst" or self.matrix is None:
            about = f"{self.num_examples:,} images of {self.data}"
            return evaluation_plots.worst(self.worst, self.class_names, about=about).save(path)
        return evaluation_plots.confusion(self.matrix, self.class_names, about=self.data).save(path)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return {
            "artifact": self.artifact,
            "format": self.format,
            "task": self.task,
            "data": self.data,
            "num_examples": self.num_examples,
            "class_names": list(self.class_names),
            "metrics": {name: _round(value) for name, value in self.metrics.items()},
            "exported": dict(self.exported),
            "classes": [{name: _round(value) for name, value in one.items()} for one in self.classes],
            "confusion": None if self.matrix is None else self.matrix.tolist(),
            "worst": [_case_to_dict(one) for one in self.worst],
        }

    def _lines(self) -> list[str]:
        said = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return [f"{self.artifact}, {self.format}, on {self.num_examples:,} images of {self.data}", said]

    def _tables(self) -> list[Table]:
        return [self.table(), *([self.class_table()] if self.classes else []), self.worst_table(SHOWN)]

    def _stated(self, name: str) -> list[float | None]:
        return [self.exported.get(name)] if self.exported else []


def evaluate(
    run: Run,
    judge: Judge,
    given: EvaluationData,
    *,
    batch_size: int,
    exported: Mapping[str, Any],
    **facts: Any,
) -> Evaluation:
    """Runs a file on all images, and judges it.

    Args:
        run: What the file says.
        judge: Of its task.
        given: The images.
        batch_size: How many are computed together.
        exported: The metrics in the artifact's manifest.
        **facts: `artifact` and `format`, as in `Evaluation`.
    """
    worst: list[Case] = []
    number = 0
    for images, targets in given.batches(batch_size):
        outputs, results = run(images)
        errors = judge.add(outputs, targets)
        for i in np.argsort(-errors, kind="stable")[:MOST]:
            target = _target_of(targets, int(i))
            name = given.image_name(number + int(i))
            worst.append(Case(name, judge.describe(target), float(errors[i]), images[i], target, results[i]))
        worst = sorted(worst, key=lambda one: -one.error)[:MOST]  # stable: of equals the first
        number += len(images)
    metrics = judge.metrics()
    return Evaluation(
        task=given.data.task,
        data=f"{given.data.name} {given.data.split}",
        num_examples=number,
        class_names=given.class_names if given.numbers is not None else (),
        metrics=metrics,
        exported=_stated(exported, metrics),
        classes=judge.classes(),
        matrix=judge.confusion(),
        worst=[one for one in worst if one.error > 0],
        **facts,
    )


def _case_to_dict(one: Case) -> dict[str, Any]:
    """A case for JSON, without pixels and masks."""
    said = describe(one.result)
    return {"image": one.name, "true": one.true, "said": said, "error": _round(one.error)}


def _target_of(targets: Any, row: int) -> Any:
    if isinstance(targets, Mapping):
        return {name: part[row] for name, part in targets.items()}
    return targets[row]


def _stated(exported: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, float]:
    """What a card says of some metrics: of several seeds, their mean."""
    found = {}
    for name in metrics:
        said = exported.get(f"test_{name}", exported.get(name))
        said = said.get("mean") if isinstance(said, Mapping) else said
        if isinstance(said, int | float):
            found[name] = float(said)
    return found


def _round(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value
