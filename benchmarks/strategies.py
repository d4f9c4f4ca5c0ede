"""Does Hyperband find what the full grid finds, for a third of its epochs? How does time grow with trials?

    python benchmarks/strategies.py            10 repetitions of both, about 8 minutes on 2 cores
    python benchmarks/strategies.py --epochs 40
    python benchmarks/strategies.py --growth   seconds for 10, 20, 40 and 80 trials, and the line through them

The data: 300 digits, 20 % of them labelled wrongly, other ones and other labels in each repetition. Both
strategies have the same folds and initial weights, so the score of the strength that Hyperband chooses can be
held against the best mean of the grid: it may be worse by one standard error of that best.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import numpy as np
import typer

GROWTH = (10, 20, 40, 80)


def search(seed: int, **settings: Any) -> Any:
    """One search on the noisy digits of a seed."""
    import keras

    from l2zoo import build, tune_l2
    from l2zoo.data import load

    digits = load("l2zoo_digits", "train", limit=300, label_noise=0.2, seed=seed)

    def model(l2: float) -> Any:
        return build("cnn_plain", digits.image_shape, num_classes=digits.num_classes, l2=l2)

    given = {"optimizer": lambda: keras.optimizers.Adam(2e-3), "seeds": [seed]}
    return tune_l2(model, digits, verbose=False, **{**given, **settings})


def repetition(seed: int, epochs: int) -> bool:
    """Compares the two strategies once; whether Hyperband's choice is as good as the grid's."""
    grid, hyperband = (search(seed, epochs=epochs, strategy=name) for name in ("grid", "hyperband"))
    best, found = grid.selection.best, hyperband.selection.best
    good = found.mean >= best.mean - best.standard_error
    print(
        f"{seed:2}  grid {best.mean:.3f} ± {best.standard_error:.3f} at {best.strength:.3g}, "
        f"{grid.epochs} epochs, {grid.seconds:.0f} s; hyperband {found.mean:.3f} at {found.strength:.3g}, "
        f"{hyperband.epochs} epochs ({hyperband.epochs / grid.epochs:.1%}), {hyperband.seconds:.0f} s: "
        f"{'as good' if good else 'worse'}",
        flush=True,
    )
    return bool(good)


def growth() -> None:
    """Times searches of growing length and fits a line."""
    seconds = []
    for trials in GROWTH:
        started = time.perf_counter()
        search(0, strengths=np.geomspace(1e-6, 1e-2, trials // 5 - 1), epochs=20)
        seconds.append(time.perf_counter() - started)
        print(f"{trials:3} trials of 20 epochs: {seconds[-1]:6.1f} s", flush=True)
    slope, fixed = np.polyfit(GROWTH, seconds, 1)
    off = np.abs(np.polyval([slope, fixed], GROWTH) / seconds - 1).max()
    print(f"{fixed:.1f} s and {slope:.3f} s for each trial; the line is off by at most {off:.1%}")


def main(
    repetitions: Annotated[int, typer.Option(help="Of both strategies, with other data.")] = 10,
    epochs: Annotated[int, typer.Option(help="Of a whole training.")] = 20,
    growing: Annotated[
        bool, typer.Option("--growth", help="Time searches of growing length instead.")
    ] = False,
) -> None:
    """Measures what Hyperband saves, and what it costs."""
    import keras  # noqa: F401  before the clock runs
    import tensorflow  # noqa: F401

    if growing:
        growth()
        return
    good = sum(repetition(seed, epochs) for seed in range(repetitions))
    print(f"Hyperband's choice is within one standard error of the grid's best in {good} of {repetitions}.")


if __name__ == "__main__":
    typer.run(main)
