"""A table of the artifacts in a folder, out of their manifests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2zoo.shelf import manifest

# What a reader asks first of each task: the metric and what to call it.
HEADLINES = {
    "classification": ("test_accuracy", "accuracy"),
    "segmentation": ("test_mean_iou", "mean IoU"),
    "detection": ("test_map", "mAP@[.5:.95]"),
    "generation": ("test_denoising_loss", "denoising loss"),
    "video": ("test_rollout_ssim", "SSIM of 10 frames"),
}
_FLOAT = ("tflite", "tflite_fp16")  # both compute in floats; the latter stores its weights in half the bytes
_HEADS = ("name", "task", "on the test set", "seeds", "parameters", "float", "int8", "files")


def table(folder: Path) -> str:
    """A Markdown table with a row for each artifact in a folder, by name.

    Args:
        folder: Holds folders of artifacts.

    Raises:
        ValueError: A manifest is damaged.
    """
    rows = [f"| {' | '.join(_HEADS)} |", "|---|---|---|--:|--:|--:|--:|---|"]
    for path in sorted(folder.glob(f"*/{manifest.FILE}")):
        content = manifest.read(path.parent)
        name = path.parent.name
        cells = [
            f"[{name}]({name}/README.md)", str(content.get("task") or "-"), *_figure(content),
            _parameters(content), _file(content, *_FLOAT), _file(content, "tflite_int8"),
            ", ".join(content["formats"]),
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


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
    return f"{words} {value['mean']:.4f} ± {value['se']:.4f}", str(value["seeds"])


def _file(content: Mapping[str, Any], *kinds: str) -> str:
    """Size of the first of these files that there is, and its first metric on the images compared."""
    row = next((content["formats"][kind] for kind in kinds if kind in content["formats"]), None)
    if row is None:
        return "-"
    metrics = row["parity"]["metrics"]
    words = "".join(f", {name} {pair['file']:.4f}" for name, pair in list(metrics.items())[:1])
    return f"{row['bytes'] / 1000:,.0f} kB{words}"
