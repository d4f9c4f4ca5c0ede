"""What was written is run beside the Keras model, judged, and put down for the manifest."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict
from l2zoo.artifacts.parity import ceilings, table, timing
from l2zoo.artifacts.parity.limits import Limits, Rounding, on_kept
from l2zoo.artifacts.parity.parity import Measure, Parity, batches, compare
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.utils.caller import outside

SECONDS = 0.1  # for which a file is timed


@dataclasses.dataclass(frozen=True)
class Reference:
    """What files are compared with.

    Args:
        inputs: Real inputs.
        answers: The Keras model.
        kept: The few inputs that the artifact keeps.
        expected: The model's answers to them.
        measure: The caller's metrics, if there are any.
        kinds: What its outputs mean, where it is known.
        rounded: Whether the model itself rounds to 16 bits, as no float32 file of TFLite does.
    """

    inputs: Inputs
    answers: Predict
    kept: Inputs
    expected: Outputs
    measure: Measure | None
    kinds: Mapping[str, OutputKind]
    rounded: bool = False


def check_files(
    folder: Path, names: Sequence[str], reference: Reference, limits: Limits
) -> tuple[dict[str, Parity], dict[str, Any]]:
    """Runs the files in a folder; gives the figures, and the rows of the manifest.

    Args:
        folder: An artifact that is being written.
        names: Its formats.
        reference: The Keras model's answers.
        limits: Those of the caller.

    Raises:
        ValueError: A file does not answer like the model, or needs operators that not every runtime has.
    """
    opened = {name: FORMATS[name].open(folder / FORMATS[name].path) for name in names}
    refuse_custom({name: found for name, (_, found) in opened.items()})
    runs = {name: predict for name, (predict, _) in opened.items()}
    every = batches(reference.inputs, reference.answers)
    found = compare(every, runs, measure=reference.measure, kinds=reference.kinds)
    judged = {
        name: dataclasses.replace(one, limits=limits.of(_rounding(name, reference), one))
        for name, one in found.items()
    }
    _refuse_broken(judged, measured=reference.measure is not None)
    kept = compare(batches(reference.kept, reference.expected), runs, kinds=reference.kinds)
    rows = {
        name: {
            "path": FORMATS[name].path,
            "bytes": _bytes(folder / FORMATS[name].path),
            "rounding": FORMATS[name].rounding,
            "found": inside,
            "parity": dataclasses.asdict(judged[name]),
            "verify": on_kept(judged[name].limits, kept[name]),
            **_latency(name, predict, reference.kept),
        }
        for name, (predict, inside) in opened.items()
    }
    _warn_of_wide_limits(rows, kept, reference)
    return judged, rows


def _warn_of_wide_limits(
    rows: Mapping[str, Mapping[str, Any]], kept: Mapping[str, Parity], reference: Reference
) -> None:
    """Warns of files that `verify` will refuse, whatever limits the caller gave."""
    highest = {
        name: ceilings.highest_limits(FORMATS[name].rounding, reference.expected, reference.kinds)
        for name in rows
    }
    said = ceilings.problems({name: row["verify"] for name, row in rows.items()}, kept, highest)
    if said:
        words = "`verify` will refuse the artifact: its limits are wider than it accepts of anybody."
        warnings.warn(f"{words} {' '.join(said)}", UserWarning, stacklevel=outside())


def _rounding(name: str, reference: Reference) -> Rounding:
    """To what the difference between a file and the model is owed; both may round."""
    own = FORMATS[name].rounding
    return "float16" if reference.rounded and name == "tflite" else own


def refuse_custom(inside: dict[str, dict[str, Any]]) -> None:
    """Raises if a file, by what was found in it, needs operators that are not builtin."""
    custom = {
        name: found["custom_operators"] for name, found in inside.items() if found.get("custom_operators")
    }
    if custom:
        raise ValueError(
            f"Files must run with the operators that every runtime has, but these need others: {custom}. "
            "Replace the layers that use them, or leave the formats out."
        )


def _refuse_broken(judged: dict[str, Parity], *, measured: bool) -> None:
    problems = table.problems(judged)
    if not problems:
        return
    rounded = {FORMATS[name].rounding for name, one in judged.items() if not one.holds} - {"float32"}
    ways = ["Look at what the model answers for that image"]
    if rounded and not measured:
        ways.append("pass `measure`, so that the task's own metric decides")
    if "int8" in rounded:
        ways.append("calibrate on more real images (Conversion(calibration=...)) or leave the format out")
    ways.append("if the difference is harmless for these outputs, pass wider `limits`")
    raise ValueError(f"{' '.join(problems)} Nothing was written. {'; '.join(ways)}.")


def _latency(name: str, predict: Predict, kept: Inputs) -> dict[str, Any]:
    """How long a file for devices takes for one image, on this machine, whatever that is worth."""
    if not name.startswith("tflite"):
        return {}
    p50, p90 = timing.percentiles(timing.milliseconds(predict, kept, seconds=SECONDS))
    return {"latency": {"p50_ms": p50, "p90_ms": p90}}


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
