"""Where L2 and weight decay matter: accuracy, log loss and calibration, of few images and of many.

    python benchmarks/evidence.py --data-dir ~/tensorflow_datasets                    all, days on 2 cores
    python benchmarks/evidence.py --case small --data-dir ~/tensorflow_datasets       small CNNs, few images
    python benchmarks/evidence.py --show                                              what is finished

Each model is trained on Fashion-MNIST, on all 60,000 images, on 2,000, on 500 and on 2,000 of which 20 % are
labelled wrongly, without a regulariser, with L2 in the loss and with decoupled weight decay, each at the
strength that `tune_l2` finds on folds of its training images (of 60,000: on folds of 6,000 of them), with
three seeds. The 10,000 test images are looked at after that. Differences to none are paired: the same images,
initial weights and batches. Their intervals allow for other trainings and other test images; those of the
calibration error for other trainings alone. And on `l2zoo_faces`, with repeated halves, there are a hundred
images to learn from (`pip install "l2zoo[photos]"`).

What is measured stands in `measured/evidence.json`, a line for each search and each training, and is not done
again; trainings are kept in `--out` epoch by epoch: killed at any moment, the same command goes on. Ends with
the table and `forest.png`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cases
import numpy as np
import typer
from fused_norm import fused_batch_norm
from measured import FOLDER, Measured

from l2zoo.stats.paired import Difference, crossed_difference, difference, holm
from l2zoo.stats.summary import mean_and_error
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.tasks.scores import calibration_error, log_loss

if TYPE_CHECKING:
    import keras

    from l2zoo import L2Policy, Training
    from l2zoo.data import ImageData

NONE = "none"
VARIANTS = {
    NONE: ("adam", ()),
    "L2": ("adam", (1e-5, 1e-4, 1e-3, 1e-2)),
    "decay": ("adamw", (0.01, 0.1, 1.0, 10.0)),
}
METRICS = {"accuracy": "max", "log_loss": "min", "calibration_error": "min"}
FACE_METRICS = {"accuracy": "val_accuracy", "log_loss": "val_data_loss"}
PARTS = 50  # of the test images, on which differences are taken apart
FOLDS, FACE_SEEDS = 3, 10
KIND = OutputKind("probabilities")


@dataclass(frozen=True)
class Amount:
    """How many images are learnt from, and how.

    Attributes:
        words: In the table.
        epochs: Passes over them.
        batch_size: Images in a step.
        limit: So many of the training images; None for all.
        label_noise: Share of labels that are wrong.
        searched: Images on whose folds the strength is chosen; None for those that are trained on.
        search_epochs: Of that; None for `epochs`.
    """

    words: str
    epochs: int
    batch_size: int = 64
    limit: int | None = None
    label_noise: float = 0.0
    searched: int | None = None
    search_epochs: int | None = None


FACES = "faces"
AMOUNTS = {
    "500": Amount("500 images", 40, 32, 500),
    "2000": Amount("2,000 images", 30, 64, 2000),
    "noisy": Amount("2,000 images, 20 % labelled wrongly", 30, 64, 2000, 0.2),
    FACES: Amount("100 faces or not", 40, 16),
    "60000": Amount("60,000 images", 15, 128, searched=6000, search_epochs=15),
}
MODELS = ("cnn_plain", "cnn", "resnet20")
CASES = {f"{model}-{amount}": (model, amount) for model in MODELS for amount in AMOUNTS}
GROUPS = {
    "small": [name for name, (model, _) in CASES.items() if model != "resnet20" and "60000" not in name]
}


@dataclass(frozen=True)
class Row:
    """A line of the table: a variant of a case, by one metric.

    Attributes:
        case: Model and amount.
        variant: How it was regularised.
        metric: What was measured.
        strength: That was chosen; None where folds choose each their own.
        scores: Of each training.
        gap: To none; None for that itself.
        p: Of the gap, corrected by Holm over all rows of the metric.
    """

    case: str
    variant: str
    metric: str
    strength: float | None
    scores: tuple[float, ...]
    gap: Difference | None
    p: float | None = None


@dataclass(frozen=True)
class Case:
    """A model, and how much it learns from.

    Attributes:
        name: In `CASES`.
        out: Where trainings are kept.
        measured: What they gave.
        data_dir: Where TFDS keeps prepared data.
        seeds: How many trainings.
    """

    name: str
    out: Path
    measured: Measured
    data_dir: Path | None
    seeds: int

    @property
    def folder(self) -> Path:
        """Of this case."""
        return self.out / self.name

    @property
    def amount(self) -> Amount:
        """How much it learns from."""
        return AMOUNTS[CASES[self.name][1]]

    def images(self, limit: int | None) -> ImageData:
        """So many training images."""
        from l2zoo.data import load

        noise = self.amount.label_noise
        return load("fashion_mnist", "train", data_dir=self.data_dir, limit=limit, label_noise=noise)

    def builder(self, images: ImageData) -> Any:
        """What builds the model with a policy on it."""
        import l2zoo

        def build(policy: L2Policy) -> keras.Model:
            return l2zoo.build(CASES[self.name][0], images.image_shape, images.num_classes, l2=policy)

        return build

    def training(self, variant: str, epochs: int | None = None) -> Training:
        """How a variant is trained."""
        from l2zoo import Training

        return Training(epochs or self.amount.epochs, self.amount.batch_size, VARIANTS[variant][0])

    def run(self) -> None:
        """Trains what is left."""
        if self.name.endswith(FACES):
            for metric in FACE_METRICS.values():
                if self.measured.get(f"{self.name}, {NONE}, {metric}") is None:
                    self.compare_faces(metric)
            return
        for variant in VARIANTS:
            strength = self.search(variant)
            for seed in range(self.seeds):
                if self.scores(variant, seed) is None and (strength or variant == NONE):
                    self.train(variant, strength, seed)

    def search(self, variant: str) -> float:
        """The strength that folds of the training images choose."""
        from l2zoo.studies.experiment import Search
        from l2zoo.tasks import Classification

        found = self.strength(variant)
        if found is None:
            images = self.images(self.amount.searched or self.amount.limit)
            how = self.training(variant, self.amount.search_epochs)
            search = Search(images, how, strengths=VARIANTS[variant][1], folds=FOLDS)
            task = Classification(images.class_names)
            result = search.run(self.builder(images), task, directory=self.folder / variant / "search")
            found = float(result.best)
            self.measured.add({f"{self.name}, {variant}": found})
        return found

    def strength(self, variant: str) -> float | None:
        """The strength of a variant, as far as it is known."""
        found: float | None = 0.0 if variant == NONE else self.measured.get(f"{self.name}, {variant}")
        return found

    def train(self, variant: str, l2: float, seed: int) -> None:
        """Trains a seed and keeps how it does on the test images."""
        from l2zoo.data import check_splits, load
        from l2zoo.studies.experiment import train_model
        from l2zoo.tasks import Classification

        images, test = self.images(self.amount.limit), load("fashion_mnist", "test", data_dir=self.data_dir)
        check_splits(images, test)
        model = train_model(
            self.builder(images), Classification(images.class_names), images,
            training=self.training(variant), l2=l2, seed=seed,
            run_dir=self.folder / variant / f"run{seed}", verbose=0,
        )  # fmt: skip
        pixels, labels = test.arrays()
        found = measure(model.predict(pixels, batch_size=500, verbose=0), labels)
        self.measured.add({f"{self.name}, {variant}, seed {seed}": found})
        print(f"{self.name}, {variant} at {l2:g}, seed {seed}: {_means(found)}", flush=True)

    def scores(self, variant: str, seed: int) -> dict[str, Any] | None:
        """What a training gave, if it is finished."""
        found: dict[str, Any] | None = self.measured.get(f"{self.name}, {variant}, seed {seed}")
        return found

    def compare_faces(self, metric: str) -> None:
        """Learns from half of the patches, and is scored on the other half, over and over."""
        from l2zoo import Variant, compare
        from l2zoo.data import load

        faces = load("l2zoo_faces", "train+test", data_dir=self.data_dir)
        variants = [
            Variant(name, optimizer=optimizer, strengths=(0.0, *strengths) if strengths else ())
            for name, (optimizer, strengths) in VARIANTS.items()
        ]
        compared = compare(
            self.builder(faces), faces, variants, training=self.training(NONE), folds=2, seeds=FACE_SEEDS,
            objective=metric, directory=self.folder / metric,
        )  # fmt: skip
        gaps = [f"difference_{field.name}" for field in dataclasses.fields(Difference)]
        for found in compared.to_dict()["variants"]:
            kept = {"strength": found["strength"], "scores": [one["score"] for one in found["trainings"]]}
            kept |= {name: found[name] for name in gaps}
            self.measured.add({f"{self.name}, {found['variant']}, {metric}": kept})

    def rows(self) -> Iterator[Row]:
        """What is finished, by every metric."""
        if self.name.endswith(FACES):
            yield from self._face_rows()
            return
        base = self.all_scores(NONE)
        for variant in VARIANTS:
            strength = self.strength(variant)
            found = base if strength == 0 else self.all_scores(variant)
            if base is None or found is None:
                continue
            for metric in METRICS:
                scores = tuple(_means(one)[metric] for one in found)
                gap = None if variant == NONE else _gap(metric, found, base)
                yield Row(self.name, variant, metric, strength, scores, gap)

    def all_scores(self, variant: str) -> list[dict[str, Any]] | None:
        """What each seed gave, if all are finished."""
        found = [self.scores(variant, seed) for seed in range(self.seeds)]
        return None if None in found else [one for one in found if one is not None]

    def _face_rows(self) -> Iterator[Row]:
        fields = [field.name for field in dataclasses.fields(Difference)]
        for (metric, objective), variant in itertools.product(FACE_METRICS.items(), VARIANTS):
            found = self.measured.get(f"{self.name}, {variant}, {objective}")
            if found is not None:
                gap = {name: found[f"difference_{name}"] for name in fields}
                made = None if gap["mean"] is None else Difference(**gap)
                yield Row(self.name, variant, metric, found["strength"], tuple(found["scores"]), made)


def measure(answers: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The metrics of probabilities `(N, K)`; those that are means of images, on parts of the test images."""
    parts = np.array_split(np.arange(len(labels)), PARTS)
    right = answers.argmax(axis=1) == labels
    return {
        "accuracy": [float(right[part].mean()) for part in parts],
        "log_loss": [round(log_loss(answers[part], labels[part], KIND), 6) for part in parts],
        "calibration_error": calibration_error(answers, labels, KIND),
    }


def _means(found: dict[str, Any]) -> dict[str, float]:
    """The metrics of a training on all test images."""
    return {name: float(np.mean(values)) for name, values in found.items()}


def _gap(metric: str, found: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]]) -> Difference | None:
    """A metric less that of none, training by training."""
    gains = np.array(
        [np.subtract(one[metric], other[metric]) for one, other in zip(found, base, strict=True)]
    )
    if metric == "calibration_error":  # of some of the images it is larger than of all
        return difference(gains, overlap=0.0)
    return crossed_difference(gains, mean=float(gains.mean()))


def corrected(rows: list[Row]) -> list[Row]:
    """The rows with p by Holm, over all comparisons of a metric."""
    done: dict[int, float] = {}
    for metric in METRICS:
        compared = [number for number, row in enumerate(rows) if row.metric == metric and row.gap is not None]
        done |= zip(compared, holm([rows[number].gap.p for number in compared]), strict=True)
    return [dataclasses.replace(row, p=done.get(number)) for number, row in enumerate(rows)]


def line(row: Row) -> str:
    """A row of the Markdown table."""
    model, amount = CASES[row.case]
    mean, error = mean_and_error(row.scores)
    score = f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}"
    if amount == FACES:
        score = f"{mean:.4f}"  # folds share images: the spread of their scores says too little
    gap = "" if row.gap is None else f"{row.gap.mean:+.4f} ({row.gap.low:+.4f} to {row.gap.high:+.4f})"
    strength = "" if row.strength is None or row.variant == NONE else f"{row.strength:g}"
    p = "" if row.p is None else f"{row.p:.3f}"
    cells = [model, AMOUNTS[amount].words, row.variant, strength, row.metric, score, gap, p]
    return f"| {' | '.join(cells)} |"


def draw(rows: list[Row], path: Path) -> Path | None:
    """The forest plot: for each metric a column, for each case and variant a line."""
    from l2zoo.reports import plot_style
    from l2zoo.reports.plot_style import BLUE, INK, RED

    compared = [row for row in rows if row.gap is not None]
    if not compared:
        return None
    names = list(dict.fromkeys((row.case, row.variant) for row in compared))
    title = "Regularised less not regularised, 95 % intervals"
    figure = plot_style.frame(
        width=11, height=0.24 * len(names) + 0.9, title=title,
        sentences=["Blue is better and red is worse after Holm's correction over all lines of a column."],
    )  # fmt: skip
    columns = figure.subplots(1, len(METRICS), sharey=True)
    for axes, (metric, mode) in zip(columns, METRICS.items(), strict=True):
        for row in (row for row in compared if row.metric == metric):
            place, gap = names.index((row.case, row.variant)), row.gap
            good = (gap.mean > 0) == (mode == "max")
            color = INK if row.p is None or row.p >= 0.05 else BLUE if good else RED
            axes.plot([gap.low, gap.high], [place, place], color=color, linewidth=2.5, alpha=0.75)
            axes.plot([gap.mean], [place], "s", color=color, markersize=5)
        axes.axvline(0, **plot_style.DOTTED)
        axes.set_xlabel(f"{metric.replace('_', ' ')} ({'right' if mode == 'max' else 'left'} is better)")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    columns[0].set_yticks(range(len(names)), [f"{case}, {variant}" for case, variant in names])
    columns[0].set_ylim(len(names) - 0.5, -0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def main(
    case: Annotated[str, typer.Option(help=f"{', '.join((*GROUPS, *CASES))}, or all.")] = "all",
    seeds: Annotated[int, typer.Option(min=2, help="Trainings from other initial weights.")] = 3,
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show what is finished.")] = False,
    out: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("runs/evidence"),
) -> None:
    """Trains models without a regulariser, with L2 and with decay, and says what that does."""
    names = cases.select_cases(case, (*GROUPS, *CASES), usual=CASES)
    names = [one for name in names for one in GROUPS.get(name, [name])]
    studies = [Case(name, out, Measured(FOLDER / "evidence.json"), data_dir, seeds) for name in names]
    for study in [] if show else studies:
        with fused_batch_norm():
            study.run()
    rows = corrected([row for study in studies for row in study.rows()])
    print("| model | learns from | regulariser | strength | metric | test | to none (95 %) | p (Holm) |")
    print("|---|---|---|--:|---|--:|--:|--:|")
    print("\n".join(map(line, rows)))
    print(f"\nPicture: {draw(rows, out / 'forest.png')}")


if __name__ == "__main__":
    typer.run(main)
