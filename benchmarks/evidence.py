"""What L2 does to each model: the test metric without it, at the recipe's strength, and at the chosen one.

    python benchmarks/evidence.py                     all, about 16 hours on 2 cores, in pieces if you like
    python benchmarks/evidence.py --case digits       one model
    python benchmarks/evidence.py --show              only the table of what is finished

For each model a recipe is run three times over 3 seeds: with `--l2 0`, with its default, and with the
strength that its own `--tune-l2` chooses by cross-validation on the training images. Everything is kept in
`runs/evidence`, and what is finished is not done again: stop it whenever you like. Ends with the table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cases
import numpy as np
import typer

ROOT = Path(__file__).parents[1]
FOLDER = Path("runs/evidence")


@dataclass(frozen=True)
class Case:
    """A recipe, its metric, its own strength, and options that it needs."""

    words: str
    recipe: str
    metric: str
    default: float
    options: tuple[str, ...] = ()


WIDE = ("--filters", "24,48,96,192", "--epochs", "30")  # what the README's figure is of
MNIST = (  # prepared where TFDS_DATA_DIR says
    *("--data", "mnist", "--epochs", "8", "--batch-size", "128"),
    *("--tune-images", "6000", "--tune-epochs", "6"),
)
CASES = {
    "cnn": Case("CNN, digits", "classify", "accuracy", 5e-5, ("--model", "cnn")),
    "digits": Case("ResNet-20, digits", "classify", "accuracy", 5e-5),
    "mnist": Case("ResNet-20, MNIST", "classify", "accuracy", 5e-5, MNIST),
    "segment": Case("U-Net, scenes", "segment", "mean_iou", 1e-6, WIDE),
    "detect": Case("detector, scenes", "detect", "map", 1e-5),
    "images": Case("diffusion, digits (a loss: less is better)", "generate_images", "denoising_loss", 1e-6),
    "video": Case("video, moving digits", "generate_video", "rollout_ssim", 1e-6),
}


def trained(name: str, l2: float, seeds: int) -> None:
    """Runs the recipe of a case at a strength, if that is not finished."""
    case, out = CASES[name], folder(name, l2)
    if len(values(name, l2) or ()) < seeds:
        command = [sys.executable, str(ROOT / f"recipes/{case.recipe}.py"), *case.options]
        subprocess.run([*command, "--l2", str(l2), "--seeds", str(seeds), "--out", str(out)], check=True)


def chosen(name: str) -> float | None:
    """The strength that the search of a case chose, if it is finished."""
    result = FOLDER / name / "tuned" / "search" / "result.json"
    return float(json.loads(result.read_text())["best"]) if result.is_file() else None


def searched(name: str) -> float:
    """The strength that the recipe's search chooses; the training after it is kept short."""
    if chosen(name) is None:
        case, out = CASES[name], FOLDER / name / "tuned"
        command = [sys.executable, str(ROOT / f"recipes/{case.recipe}.py"), *case.options, "--tune-l2"]
        subprocess.run([*command, "--epochs", "1", "--out", str(out)], check=True)
    found = chosen(name)
    assert found is not None
    return found


def folder(name: str, l2: float) -> Path:
    """Where the run of a case at a strength is kept."""
    return FOLDER / name / f"{l2:g}"


def values(name: str, l2: float) -> list[float] | None:
    """The metric of each seed, if the run is finished."""
    path = folder(name, l2) / "metrics.json"
    return json.loads(path.read_text())["metrics"][CASES[name].metric] if path.is_file() else None


def row(name: str) -> str:
    """The line of a case in the table."""
    case, best = CASES[name], chosen(name)
    cells = [cell(name, l2) for l2 in (0.0, case.default)]
    cells += ["-" if best is None else f"{cell(name, best)} at {best:g}"]
    return f"| {case.words} | {case.metric} | {' | '.join(cells)} |"


def cell(name: str, l2: float) -> str:
    """Mean and standard error over the seeds."""
    found = values(name, l2)
    if found is None:
        return "-"
    error = f" ± {np.std(found, ddof=1) / len(found) ** 0.5:.4f}" if len(found) > 1 else ""
    return f"{np.mean(found):.4f}{error}"


def main(
    case: Annotated[str, typer.Option(help=f"{', '.join(CASES)}, or all.")] = "all",
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 3,
    show: Annotated[bool, typer.Option("--show", help="Only show what is finished.")] = False,
) -> None:
    """Trains every model at three strengths and prints what that does to it."""
    names = cases.chosen(case, CASES)
    for name in [] if show else names:
        for l2 in (0.0, CASES[name].default, searched(name)):
            trained(name, l2, seeds)
    print("| model | metric on the test split | no L2 | the recipe's | chosen |\n|---|---|--:|--:|--:|")
    for name in names:
        print(row(name))


if __name__ == "__main__":
    typer.run(main)
