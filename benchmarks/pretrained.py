"""What ImageNet's weights are worth: few images of Fashion-MNIST, faces, masks and boxes of scenes.

    python benchmarks/pretrained.py --data-dir ~/tensorflow_datasets       all, about a day on 2 cores
    python benchmarks/pretrained.py --case unet                            one of them
    python benchmarks/pretrained.py --show                                 what is finished

`fashion_10`, `_50` and `_200` fine-tune EfficientNetLite0 on so many images a class of Fashion-MNIST
(enlarged to 96 pixels, in all three channels), and `faces` on 20 patches (64 pixels; `pip install
"l2zoo[photos]"`): a new head, then two levels, then all; all at once; and from random weights. `unet` and
`detector` are trained on `l2zoo_scenes` with that encoder, from ImageNet's weights and from random ones, for
the same epochs. Three seeds each, with other images where not all are taken. What is measured stands in
`measured/pretrained.json` and is not done again; trainings are kept in `--out` epoch by epoch: killed at any
moment, the same command goes on. Ends with the tables and `images_a_class.png`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cases
import typer
from fused_norm import fused_batch_norm
from measured import FOLDER, Measured

from l2zoo.reports.numbers import format_mean
from l2zoo.stats.summary import mean_and_error

if TYPE_CHECKING:
    from l2zoo import L2Policy

BACKBONE = "EfficientNetLite0"
FEW = {"fashion_10": 10, "fashion_50": 50, "fashion_200": 200}  # images a class
STAGE_EPOCHS = {"fashion_10": 10, "fashion_50": 8, "fashion_200": 4, "faces": 10}
CLASSES = 10  # of Fashion-MNIST
TESTED = "test[:2000]"
STRENGTHS = (0.0, 1e-5, 1e-4)
SCENES = {"unet": ("segmentation", "mean_iou", 15, 16), "detector": ("detection", "map", 25, 32)}
WEIGHTS = {"imagenet": "from ImageNet's weights", "random": "from random weights"}
CASES = (*FEW, "faces", *SCENES)
LINES = ("from random weights", "a new head alone", "then all levels", "all levels at once")


Scores = Iterator[tuple[str, Sequence[float]]]
"""Each way and the score of each seed, as soon as it is finished."""


def fine_tune(name: str, folder: Path, data_dir: Path | None, seeds: int) -> Scores:
    """Fine-tunes on few images."""
    from l2zoo import Training
    from l2zoo.data import load
    from l2zoo.models.backbones import application
    from l2zoo.studies.finetune import finetune

    source, side = ("l2zoo_faces", 64) if name == "faces" else ("fashion_mnist", 96)
    limit = 20 if name == "faces" else FEW[name] * CLASSES
    splits = ("train", "test" if name == "faces" else TESTED)
    train, test = (load(source, split, data_dir=data_dir, image_size=(side, side)) for split in splits)
    found = finetune(
        application(BACKBONE, train.image_shape, weights="imagenet"), train, test,
        training=Training(
            STAGE_EPOCHS[name], 10 if limit <= 100 else 32, learning_rate=1e-2, augment="flip",
            mixed_precision=True,
        ),
        limit=limit, l2=STRENGTHS, seeds=seeds, formats=("tflite_int8",), directory=folder,
    )  # fmt: skip
    for way, metrics in found.scores.items():
        yield way, metrics["accuracy"]


def train_on_scenes(name: str, folder: Path, data_dir: Path | None, seeds: int) -> Scores:
    """Trains a U-Net or a detector with an encoder of trained weights, and with one of random ones."""
    import l2zoo
    from l2zoo.data import load
    from l2zoo.models.backbones import application
    from l2zoo.tasks import Detection, Segmentation

    kind, metric, epochs, batch_size = SCENES[name]
    train, test = (load("l2zoo_scenes", split, task=kind, data_dir=data_dir) for split in ("train", "test"))
    task: Any = (Segmentation if kind == "segmentation" else Detection)(train.class_names)
    for weights, way in WEIGHTS.items():

        def build(policy: L2Policy, weights: str = weights) -> Any:
            start = "imagenet" if weights == "imagenet" else None
            encoder = application(BACKBONE, train.image_shape, weights=start)
            options = {"backbone": encoder}
            return l2zoo.build(name, train.image_shape, train.num_classes, l2=policy, options=options)

        training = l2zoo.Training(epochs, batch_size, augment="shift", mixed_precision=True)
        found = l2zoo.experiment(
            build, task, train, test, training=training, l2=1e-5, seeds=seeds, formats=("tflite_fp16",),
            directory=folder / weights, verbose=2,
        )  # fmt: skip
        yield way, found.metrics[metric]


def scores(name: str, measured: Measured) -> Mapping[str, list[float]]:
    """The score of each way that is finished."""
    found = {way: measured.get(f"{name}, {way}") for way in (WEIGHTS.values() if name in SCENES else LINES)}
    return {way: values for way, values in found.items() if values is not None}


def rows(names: list[str], measured: Measured) -> Iterator[str]:
    """The lines of the Markdown table."""
    for name in names:
        metric = SCENES[name][1] if name in SCENES else "accuracy"
        for way, values in scores(name, measured).items():
            mean = format_mean(*mean_and_error(values), digits=4)
            yield f"| {name} | {metric} | {way} | {mean} | {len(values)} |"


def draw(measured: Measured, path: Path) -> Path | None:
    """Test accuracy against images a class, a line for each way."""
    from l2zoo.reports import plot_style

    found = {count: scores(name, measured) for name, count in FEW.items()}
    counts = [count for count, ways in found.items() if ways]
    if not counts:
        return None
    figure = plot_style.blank(width=6.4, height=4.2, layout="constrained")
    axes = figure.add_subplot()
    for way in LINES:
        means, errors = zip(*(mean_and_error(found[count][way]) for count in counts), strict=True)
        axes.errorbar(counts, means, [error or 0.0 for error in errors], marker="o", capsize=3, label=way)
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("Training images a class")
    axes.set_ylabel("Accuracy on 2,000 test images")
    axes.legend(frameon=False)
    plot_style.plain_axes(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def main(
    case: Annotated[str, typer.Option(help=f"{', '.join(CASES)}, or all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings from other initial weights.")] = 3,
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show what is finished.")] = False,
    out: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("runs/pretrained"),
) -> None:
    """Trains from ImageNet's weights and from random ones, and prints both side by side."""
    names = cases.select_cases(case, CASES)
    measured = Measured(FOLDER / "pretrained.json")
    ways = {name: len(WEIGHTS if name in SCENES else LINES) for name in names}
    for name in [] if show else [name for name in names if len(scores(name, measured)) < ways[name]]:
        run = train_on_scenes if name in SCENES else fine_tune
        with fused_batch_norm():
            for way, values in run(name, out / name, data_dir, seeds):
                measured.add({f"{name}, {way}": values})
    print("| case | metric | way | on the test set | seeds |\n|---|---|---|--:|--:|")
    print("\n".join(rows(names, measured)))
    print(f"\nPicture: {draw(measured, out / 'images_a_class.png')}")


if __name__ == "__main__":
    typer.run(main)
