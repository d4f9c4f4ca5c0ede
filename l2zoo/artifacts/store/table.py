"""A table of the artifacts in a folder, out of their manifests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest
from l2zoo.reports.numbers import format_mean
from l2zoo.reports.table import Column, Table

# What a reader asks first of each task: the metric and what to call it.
HEADLINES = {
    "classification": ("test_accuracy", "accuracy"),
    "segmentation": ("test_mean_iou", "mean IoU"),
    "detection": ("test_map", "mAP@[.5:.95]"),
    "generation": ("test_denoising_loss", "denoising loss"),
    "video": ("test_rollout_ssim", "SSIM of 10 frames"),
}
_FLOAT = ("tflite", "tflite_fp16")  # both compute in floats; the latter stores its weights in half the bytes
_HEADS = ("name", "task", "on the test set", "seeds", "parameters", "float file", "int8 file", "files")
_NUMBERS = frozenset({"seeds", "parameters", "float file", "int8 file"})  # set at the right


def saved_models_table(folder: Path) -> Table:
    """A row for each artifact in a folder, by name.

    Args:
        folder: Holds folders of artifacts.

    Raises:
        ValueError: A manifest is damaged.
    """
    rows = []
    for path in sorted(folder.glob(f"*/{manifest.FILE}")):
        content = manifest.read(path.parent)
        name = path.parent.name
        rows.append([
            f"[{name}]({name}/README.md)", str(content.get("task") or "-"), *_figure(content),
            _parameters(content), _file(content, *_FLOAT), _file(content, "tflite_int8"),
            ", ".join(content["formats"]),
        ])  # fmt: skip
    return Table.of([Column(head, number=head in _NUMBERS) for head in _HEADS], rows)


def _parameters(content: Mapping[str, Any]) -> str:
    found = content["formats"].get("keras", {}).get("found", {}).get("parameters")
    return "-" if found is None else f"{found:,}"


def _figure(content: Mapping[str, Any]) -> tuple[str, str]:
    """The first metric of the task, and over how many seeds it is the mean."""
    key, words = HEADLINES.get(str(content.get("task")), ("", ""))
    value = (content.get("metrics") or {}).get(key)
    if value is None:
        return "-", "-"
    if not isinstance(value, Mapping):
        return f"{words} {value:.4f}", "1"
    figure = format_mean(value["mean"], value["se"], digits=_digits(value["se"]))
    return f"{words} {figure}", str(value["seeds"])


def _digits(error: float) -> int:
    """How many a mean is shown with: down to the first of its standard error's, and at least four.

    Example:
        >>> _digits(0.0123), _digits(0.0000333)
        (4, 5)
    """
    return 4 if error <= 0 else max(4, -math.floor(math.log10(error)))


def _file(content: Mapping[str, Any], *kinds: str) -> str:
    """Size of the first of these files that there is, and its first metric, on how many images."""
    row = next((content["formats"][kind] for kind in kinds if kind in content["formats"]), None)
    if row is None:
        return "-"
    metrics = row["parity"]["metrics"]
    images = row["parity"]["images"]
    words = "".join(f", {name} {pair['file']:.4f} of {images:,}" for name, pair in list(metrics.items())[:1])
    return f"{row['bytes'] / 1000:,.0f} kB{words}"
