"""What an `L2Monitor` saw, as a heat map: kernels over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2zoo.utils.files import replacing
from l2zoo.utils.validation import one_of, picture_path

VALUES = {
    "norm": "norm of the weights",
    "data_gradient": "norm of the data's gradient",
    "penalty_gradient": "norm of the penalty's gradient",
    "ratio": "penalty's gradient / data's gradient",
    "effective_rate": "learning rate / |w|²",
    "near_zero": "share of weights near zero",
}


def heatmap(states: Sequence[Any], path: str | Path, *, value: str) -> Path:
    """Draws a value of every kernel over the epochs, by its logarithm; what is 0 or infinite is hatched.

    Args:
        states: `KernelState`s.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        value: One of `VALUES`.

    Returns:
        The path.

    Raises:
        ValueError: There are no states, or none has the value; an unknown value; another ending.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    one_of("value", value, tuple(VALUES))
    path = picture_path(path)
    known = [state for state in states if getattr(state, value) is not None]
    if not known:
        raise ValueError(
            f"There is no {value!r} to draw. Train a model with the monitor among the callbacks."
        )
    kernels = list(dict.fromkeys(state.path for state in known))
    epochs = sorted({state.epoch for state in known})
    grid = np.full((len(kernels), len(epochs)), np.nan)
    for state in known:
        number = getattr(state, value)
        grid[kernels.index(state.path), epochs.index(state.epoch)] = number if 0 < number < np.inf else np.nan
    figure = Figure(figsize=(8.2, 1.3 + 0.22 * len(kernels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.patch.set(hatch="///", facecolor="white", edgecolor="#b6bcc6")
    shown = axes.imshow(np.log10(grid), aspect="auto", cmap="cividis", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label=f"log10 of {VALUES[value]}")
    axes.set_yticks(range(len(kernels)), [name.removesuffix("/kernel") for name in kernels], size=7)
    ticks = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 12)).round().astype(int))
    axes.set_xticks(ticks, ["start" if epochs[i] < 0 else str(epochs[i] + 1) for i in ticks])
    axes.set_xlabel("epoch")
    axes.set_title(f"{VALUES[value].capitalize()}, every kernel", loc="left")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Title": VALUES[value]})
    return path
