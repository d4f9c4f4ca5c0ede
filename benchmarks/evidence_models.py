"""What L2 does to each model that comes along: without it, at its own strength, and at the chosen one.

    python benchmarks/evidence_models.py                 all, about 16 hours on 2 cores, in pieces if you like
    python benchmarks/evidence_models.py --case digits   one model
    python benchmarks/evidence_models.py --show          only the table of what is finished

For each model `l2zoo train` is run three times over 3 seeds: with `--l2 0`, with its default, and with the
strength that its own `--tune-l2` chooses by cross-validation on the training images; generators with a strong
one besides. Everything is kept in `runs/evidence_models`, and what is finished is not done again: stop it
whenever you like. Ends with the table, in which less is better of a loss and of a distance (`frechet`).
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cases
import numpy as np
import typer

FOLDER = Path("runs/evidence_models")
# `l2zoo train` of this Python, wherever its scripts are.
TRAIN = (sys.executable, "-c", "from l2zoo.cli import main; main()", "train")


@dataclass(frozen=True)
class Case:
    """What is trained, its metric, its own strength, and options that it needs.

    Attributes:
        words: What is trained, on what.
        data: As for `l2zoo train`.
        task: Likewise.
        metric: What the table shows.
        default: The strength that is the task's own.
        options: For every run.
        strong: A strength that is tried besides, far above those that help.
        more: Further metrics, each in a line of its own.
        searching: Options of the search alone.
    """

    words: str
    data: str
    task: str
    metric: str
    default: float
    options: tuple[str, ...] = ()
    strong: float | None = None
    more: tuple[str, ...] = ()
    searching: tuple[str, ...] = ()

    @property
    def strengths(self) -> list[float]:
        """Those that are not searched."""
        return [0.0, self.default, *([] if self.strong is None else [self.strong])]


WIDE = ("--filters", "24,48,96,192", "--epochs", "30")  # what the README's figure is of
MNIST = ("--epochs", "8", "--batch-size", "128")  # prepared where TFDS_DATA_DIR says
STRONG = 0.01
FEW = "--limit 256 --epochs 250 --judge-epochs 0 --samples 300 --steps 25"
PHOTOS = Case(
    "diffusion, 256 crops of photographs",
    "l2zoo_photos",
    "generation",
    "denoising_loss",
    1e-5,
    tuple(FEW.split()),
    strong=STRONG,
    more=("copying", "copying_fresh", "nearest_train", "nearest_test"),
    searching=("--tune-images", "256", "--tune-epochs", "200"),
)
CASES = {
    "cnn": Case("CNN, digits", "l2zoo_digits", "classification", "accuracy", 5e-5, ("--model", "cnn")),
    "digits": Case("ResNet-20, digits", "l2zoo_digits", "classification", "accuracy", 5e-5),
    "mnist": Case(
        "ResNet-20, MNIST",
        "mnist",
        "classification",
        "accuracy",
        5e-5,
        MNIST,
        searching=("--tune-images", "6000", "--tune-epochs", "6"),
    ),
    "segment": Case("U-Net, scenes", "l2zoo_scenes", "segmentation", "mean_iou", 1e-6, WIDE),
    "detect": Case("detector, scenes", "l2zoo_scenes", "detection", "map", 0.01),
    "images": Case(
        "diffusion, digits",
        "l2zoo_digits",
        "generation",
        "denoising_loss",
        1e-6,
        strong=STRONG,
        more=("class_accuracy", "frechet", "copying"),
    ),
    "photos": PHOTOS,
    "unseen": dataclasses.replace(
        PHOTOS, words="diffusion, 256 crops, other photographs in test", data="l2zoo_photos/apart_32"
    ),
    "video": Case(
        "video, moving digits", "l2zoo_moving_digits", "video", "rollout_ssim", 1e-6, strong=STRONG
    ),
}


def run_training(name: str, l2: float, seeds: int) -> None:
    """Trains a case at a strength, if that is not finished."""
    case, out = CASES[name], folder(name, l2)
    if len(values(name, l2) or ()) < seeds:
        command = [*TRAIN, case.data, "--task", case.task, *case.options]
        subprocess.run([*command, "--l2", str(l2), "--seeds", str(seeds), "--out", str(out)], check=True)


def chosen_strength(name: str) -> float | None:
    """The strength that the search of a case chose, if it is finished."""
    result = FOLDER / name / "tuned" / "search" / "result.json"
    return float(json.loads(result.read_text())["best"]) if result.is_file() else None


def run_search(name: str) -> float:
    """The strength that `--tune-l2` chooses; the training after it is kept short."""
    if chosen_strength(name) is None:
        case, out = CASES[name], FOLDER / name / "tuned"
        command = [*TRAIN, case.data, "--task", case.task, *case.options, *case.searching]
        subprocess.run([*command, "--tune-l2", "--epochs", "1", "--out", str(out)], check=True)
    found = chosen_strength(name)
    assert found is not None
    return found


def folder(name: str, l2: float) -> Path:
    """Where the run of a case at a strength is kept."""
    return FOLDER / name / f"{l2:g}"


def values(name: str, l2: float, metric: str = "") -> list[float] | None:
    """A metric of each seed, by default that of the case, if the run is finished and has it."""
    path = folder(name, l2) / "metrics.json"
    metric = metric or CASES[name].metric
    return json.loads(path.read_text())["metrics"].get(metric) if path.is_file() else None


def rows(name: str) -> list[str]:
    """The lines of a case in the table, one a metric."""
    case, best = CASES[name], chosen_strength(name)
    lines = []
    for metric in (case.metric, *case.more):
        cells = [cell(name, 0.0, metric), f"{cell(name, case.default, metric)} at {case.default:g}"]
        cells += ["-" if best is None else f"{cell(name, best, metric)} at {best:g}"]
        cells += ["" if case.strong is None else f"{cell(name, case.strong, metric)} at {case.strong:g}"]
        lines.append(f"| {case.words} | {metric} | {' | '.join(cells)} |")
    return lines


def cell(name: str, l2: float, metric: str) -> str:
    """Mean and standard error over the seeds."""
    found = values(name, l2, metric)
    if found is None:
        return "-"
    error = f" ± {np.std(found, ddof=1) / len(found) ** 0.5:.4f}" if len(found) > 1 else ""
    return f"{np.mean(found):.4f}{error}"


def main(
    case: Annotated[str, typer.Option(help=f"{', '.join(CASES)}, or all.")] = "all",
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 3,
    show: Annotated[bool, typer.Option("--show", help="Only show what is finished.")] = False,
) -> None:
    """Trains every model at its strengths and prints what they do to it."""
    names = cases.select_cases(case, CASES)
    for name in [] if show else names:
        for l2 in (*CASES[name].strengths, run_search(name)):
            run_training(name, l2, seeds)
    print("| model | metric on the test split | no L2 | its own | chosen | strong |")
    print("|---|---|--:|--:|--:|--:|")
    for name in names:
        print("\n".join(rows(name)))


if __name__ == "__main__":
    typer.run(main)
