"""What was written is run beside the Keras model, judged, and put down for the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.artifacts.inputs import Inputs
from l2zoo.artifacts.parity import table, timing
from l2zoo.artifacts.parity.limits import Limits, on_kept
from l2zoo.artifacts.parity.parity import Measure, Parity, Predict, batches, compare
from l2zoo.artifacts.sample import Outputs

SECONDS = 0.1  # for which a file is timed


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What files are compared on, and by what they are judged.

    Args:
        inputs: Real inputs.
        answers: The Keras model.
        kept: The few inputs that the artifact keeps.
        expected: The model's answers to them.
        limits: Those of the caller.
        measure: The caller's metrics, if there are any.
        num_classes: As many as there are names of classes, if there are.
        allow_flex: Whether files may need operators that not every runtime has.
    """

    inputs: Inputs
    answers: Predict
    kept: Inputs
    expected: Outputs
    limits: Limits
    measure: Measure | None
    num_classes: int | None
    allow_flex: bool = False

    def rows(self, fresh: Path, names: Sequence[str]) -> tuple[dict[str, Parity], dict[str, Any]]:
        """Runs the files in a folder; gives the figures, and the rows of the manifest.

        Raises:
            ValueError: A file does not answer like the model.
        """
        opened = {name: FORMATS[name].open(fresh / FORMATS[name].path) for name in names}
        self._refuse_custom({name: found for name, (_, found) in opened.items()})
        runs = {name: predict for name, (predict, _) in opened.items()}
        every = batches(self.inputs, self.answers)
        found = compare(every, runs, measure=self.measure, num_classes=self.num_classes)
        judged = {
            name: dataclasses.replace(one, limits=self.limits.of(FORMATS[name].rounding, one))
            for name, one in found.items()
        }
        self._refuse(judged)
        kept = compare(batches(self.kept, self.expected), runs, num_classes=self.num_classes)
        rows = {
            name: {
                "path": FORMATS[name].path,
                "bytes": _bytes(fresh / FORMATS[name].path),
                "rounding": FORMATS[name].rounding,
                "found": inside,
                "parity": dataclasses.asdict(judged[name]),
                "verify": on_kept(judged[name].limits, kept[name]),
                **self._latency(name, predict, inside),
            }
            for name, (predict, inside) in opened.items()
        }
        return judged, rows

    def _refuse_custom(self, inside: dict[str, dict[str, Any]]) -> None:
        custom = {name: found["custom_operators"] for name, found in inside.items() if custom_in(found)}
        if custom and not self.allow_flex:
            raise ValueError(
                f"Files must run with the operators that every runtime has, but these need others: {custom}. "
                "Replace the layers that use them, leave the formats out, or allow them with "
                "Conversion(allow_flex=True)."
            )

    def _latency(self, name: str, predict: Predict, inside: dict[str, Any]) -> dict[str, Any]:
        """How long a file for devices takes for one image, on this machine, whatever that is worth."""
        if not name.startswith("tflite") or custom_in(inside):
            return {}
        p50, p90 = timing.percentiles(timing.milliseconds(predict, self.kept, seconds=SECONDS))
        return {"latency": {"p50_ms": p50, "p90_ms": p90}}

    def _refuse(self, judged: dict[str, Parity]) -> None:
        problems = table.problems(judged)
        if not problems:
            return
        rounded = {FORMATS[name].rounding for name, one in judged.items() if not one.holds} - {"float32"}
        ways = ["Look at what the model answers for that image"]
        if rounded and self.measure is None:
            ways.append("pass `measure`, so that the task's own metric decides")
        if "int8" in rounded:
            ways.append("calibrate on more real images (Conversion(calibration=...)) or leave the format out")
        ways.append("if the difference is harmless for these outputs, pass wider `limits`")
        raise ValueError(f"{' '.join(problems)} Nothing was written. {'; '.join(ways)}.")


def custom_in(found: Mapping[str, Any]) -> bool:
    """Whether a file, by what was found in it, needs operators that are not builtin."""
    return bool(found.get("custom_operators"))


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
