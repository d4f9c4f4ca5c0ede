"""The figures of parity in words: a sentence for what does not hold, a table for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from l2zoo.artifacts.parity.parity import Parity
from l2zoo.reports.table import Column, Table

Formats = Mapping[str, Mapping[str, Any]]
"""The rows of a manifest's `formats`, with the path and the bytes of each."""

_SENTENCES = {
    "max_abs_diff": "the largest absolute difference",
    "mean_abs_diff": "the mean absolute difference",
    "relative_diff": "the mean absolute difference, in standard deviations of the output,",
}
_SHORT = {
    "max_abs_diff": "max abs diff",
    "mean_abs_diff": "mean abs diff",
    "relative_diff": "relative diff",
    "metric_drop": "drop",
}


def problems(parity: Mapping[str, Parity]) -> list[str]:
    """One paragraph for each format whose parity does not hold."""
    paragraphs = []
    for name, found in parity.items():
        broken = ", and ".join(_sentence(found, figure, found.limits[figure]) for figure in found.broken)
        if broken:
            paragraphs.append(
                f"{name} does not answer like the Keras model: {broken}. Differences over {found.images} "
                f"images: largest {found.max_abs_diff:.3g}, mean {found.mean_abs_diff:.3g}; argmax agrees on "
                f"{_percent(found.argmax_agreement)}; worst at image {found.worst_image}."
            )
    return paragraphs


def _sentence(found: Parity, name: str, limit: float) -> str:
    if name == "metric_drop":
        key, pair = _largest_drop(found)
        return f"{key} falls from {pair['model']:.4g} to {pair['file']:.4g}, at most {limit:.3g} is allowed"
    if name == "argmax_agreement":
        share = _percent(found.argmax_agreement)
        return f"argmax agrees on {share}, at least {_percent(limit)} is asked"
    figure = getattr(found, name)
    shown = "not known" if figure is None else f"{figure:.3g}"
    return f"{_SENTENCES[name]} is {shown}, at most {limit:.3g} is allowed"


def parity_table(parity: Mapping[str, Parity], formats: Formats) -> Table:
    """A row of figures for each format."""
    metrics: dict[str, float] = {}
    for found in parity.values():
        metrics |= {key: pair["model"] for key, pair in found.metrics.items()}
    words = [f"{key} (model {value:.4f})" for key, value in metrics.items()]
    heads = ["bytes", "images", "max abs diff", "mean abs diff", "same argmax", *words]
    rows = [
        [
            name, f"`{formats[name]['path']}`", f"{formats[name]['bytes']:,}", f"{found.images}",
            f"{found.max_abs_diff:.2g}", f"{found.mean_abs_diff:.2g}", _percent(found.argmax_agreement),
            *(f"{found.metrics[key]['file']:.4f}" if key in found.metrics else "-" for key in metrics),
            ", ".join(_limit(*one) for one in found.limits.items()),
        ]
        for name, found in parity.items()
    ]  # fmt: skip
    file = Column("file", number=False, optional=True)
    return Table.of(["format", file, *map(Column, heads), "limit"], rows)


def explain(parity: Mapping[str, Parity], formats: Formats) -> str:
    """Which figures decided where the largest difference did not, in a sentence; nothing if it always did."""
    reasons = [
        f"`{formats[name]['path']}` ({', '.join(_reason(found, figure) for figure in found.limits)})"
        for name, found in parity.items()
        if found.limits and "max_abs_diff" not in found.limits
    ]
    if not reasons:
        return ""
    return (
        "Rounding moves single numbers, the largest difference therefore did not decide about "
        f"{'; '.join(reasons)}."
    )


def _reason(found: Parity, name: str) -> str:
    limit = found.limits[name]
    if name == "metric_drop":
        key, pair = _largest_drop(found)
        return f"{key} {pair['file']:.4g} beside the model's {pair['model']:.4g}, it may lose {limit:.2g}"
    if name == "argmax_agreement":
        return f"argmax agrees on {_percent(found.argmax_agreement)}, {_percent(limit)} is asked"
    return f"{_SENTENCES[name]} {getattr(found, name):.2g}, at most {limit:.2g} is allowed"


def _largest_drop(found: Parity) -> tuple[str, Mapping[str, float]]:
    """The metric that falls most."""
    return max(found.metrics.items(), key=lambda one: one[1]["model"] - one[1]["file"])


def _limit(name: str, limit: float) -> str:
    if name == "argmax_agreement":
        return f"same argmax ≥ {_percent(limit)}"
    return f"{_SHORT[name]} ≤ {limit:.2g}"


def _percent(share: float | None) -> str:
    # Rounded down: 100 % is said of nothing less. The small number undoes 0.98 * 1e4 = 9799.99...
    return "-" if share is None else f"{np.floor(share * 1e4 + 1e-6) / 100:g} %"
