"""Fashion-MNIST: small models of the zoo beside the figures that its authors publish.

    python benchmarks/fashion_mnist.py --data-dir ~/tensorflow_datasets             everything that is left
    python benchmarks/fashion_mnist.py --data-dir ~/tensorflow_datasets --case cnn
    python benchmarks/fashion_mnist.py --show                                       what is finished

First every candidate of a model is trained on 50,000 of the training images, for fewer epochs, and judged on
the other 10,000. The most regularised within one standard error of the best is trained on all 60,000 with
three seeds, and then the test set is looked at, once. The model of the first seed is exported, float and
int8, with a card. What is measured stands in `measured/fashion_mnist.json` and is not done again; trainings
are kept in `--out` epoch by epoch: killed at any moment, the same command goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cases
import typer
from fused_norm import fused_batch_norm
from measured import FOLDER, Measured

FORMATS = ("tflite", "tflite_int8")
LICENSE = "MIT, by Zalando SE, as its repository says"  # TFDS states none
CHOOSING, VALIDATION, VALIDATION_IMAGES = "train[:50000]", "train[50000:]", 10_000
# Of https://github.com/zalandoresearch/fashion-mnist, with the parameters that are told there.
PUBLISHED = (
    ("two convolutions", "below 100,000", 0.925),
    ("ResNet-18", "11 million", 0.949),
    ("DenseNet-BC", "768,000", 0.954),
    ("WRN-28-10", "36.5 million", 0.959),
)


@dataclass(frozen=True)
class Candidate:
    """How a model is trained, but for the number of epochs.

    Attributes:
        augment: As in `"flip+shift"`.
        optimizer: `"sgd"`, `"adam"` or `"adamw"`.
        learning_rate: The highest.
        l2: The strength, decoupled with `"adamw"`.
        label_smoothing: Share of a label that all classes get.
        average: Momentum of the average of the weights.
        batch_size: Images in a step.
        options: Of the builder.
    """

    augment: str = "flip"
    optimizer: str = "adam"
    learning_rate: float = 3e-3
    l2: float = 0.0
    label_smoothing: float = 0.0
    average: float = 0.0
    batch_size: int = 128
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def training(self, epochs: int) -> Any:
        """The same as an experiment takes it."""
        from l2zoo.studies.experiment import Training

        return Training(
            epochs, self.batch_size, self.optimizer, self.learning_rate, augment=self.augment,
            average=self.average, mixed_precision=True,
        )  # fmt: skip

    def __str__(self) -> str:
        said = [f"{self.optimizer} {self.learning_rate:g}", f"batches of {self.batch_size}", self.augment]
        said += [f"L2 {self.l2:g}"] if self.l2 else []
        said += [f"label smoothing {self.label_smoothing:g}"] if self.label_smoothing else []
        said += [f"average {self.average:g}"] if self.average else []
        return ", ".join(said + [f"{name} {value:g}" for name, value in self.options.items()])


@dataclass(frozen=True)
class Case:
    """A model, what is tried for it, and for how long.

    Attributes:
        target: Accuracy that it is to have on the test set.
        trial_epochs: Of a candidate, on 50,000 images.
        epochs: Of the trainings that count.
        candidates: By a name, from the least to the most regularised.
    """

    target: float
    trial_epochs: int
    epochs: int
    candidates: Mapping[str, Candidate]


CASES = {
    "cnn": Case(
        0.925,
        10,
        30,
        {
            "no dropout": Candidate(options={"dropout": 0.0}),
            "decay": Candidate(optimizer="adamw", l2=0.1, options={"dropout": 0.0}),
            "sgd": Candidate(optimizer="sgd", learning_rate=0.1, l2=1e-4, options={"dropout": 0.0}),
            "flip": Candidate(),
            "shift": Candidate(augment="flip+shift"),
        },
    ),
    "resnet20": Case(
        0.945,
        6,
        30,
        {
            "weak": Candidate("flip", "sgd", 0.1, 1e-4),
            "flip": Candidate("flip", "sgd", 0.1, 2.5e-4),
            "shift": Candidate("flip+shift", "sgd", 0.1, 2.5e-4),
            "erase": Candidate("flip+erase", "sgd", 0.1, 2.5e-4),
        },
    ),
}


@dataclass(frozen=True)
class Study:
    """One model on Fashion-MNIST.

    Attributes:
        model: Its name in the zoo.
        folder: Where its trainings are kept.
        measured: What they gave.
        data_dir: Where TFDS keeps prepared data.
    """

    model: str
    folder: Path
    measured: Measured
    data_dir: Path | None = None

    def images(self, split: str) -> Any:
        """A part of the data."""
        from l2zoo.data import load

        found = load("fashion_mnist", split, data_dir=self.data_dir)
        return dataclasses.replace(found, license=LICENSE)

    def recipe(self, candidate: Candidate, images: Any) -> tuple[Any, Any]:
        """What builds the model, and what it is for."""
        import l2zoo
        from l2zoo.tasks import Classification

        def build(policy: l2zoo.L2Policy) -> Any:
            shape, classes = images.image_shape, images.num_classes
            return l2zoo.build(self.model, shape, classes, l2=policy, options=candidate.options)

        return build, Classification(images.class_names, label_smoothing=candidate.label_smoothing)

    def try_candidates(self) -> None:
        """Trains those of which nothing is known yet."""
        case = CASES[self.model]
        missing = [name for name in case.candidates if self.tried(name) is None]
        if not missing:
            return
        from l2zoo.studies.experiment import train_model

        train, held_out = self.images(CHOOSING), self.images(VALIDATION)
        for name in missing:
            candidate = case.candidates[name]
            build, task = self.recipe(candidate, train)
            model = train_model(
                build, task, train, training=candidate.training(case.trial_epochs), l2=candidate.l2, seed=0,
                run_dir=self.folder / "candidates" / name.replace(" ", "_"), verbose=2,
            )  # fmt: skip
            about = {"settings": str(candidate), "epochs": case.trial_epochs}
            self.measured.add({f"{self.model}, {name}": about | task.measure(model, held_out)})
            print(f"{self.model}, {name} ({candidate}): {self.tried(name)}", flush=True)

    def tried(self, name: str) -> dict[str, Any] | None:
        """What is known of a candidate, if it is finished and is still the same."""
        found: dict[str, Any] = self.measured.get(f"{self.model}, {name}") or {}
        case = CASES[self.model]
        same = found.get("settings") == str(case.candidates[name]) and found["epochs"] == case.trial_epochs
        return found if same else None

    def chosen(self) -> str:
        """The most regularised candidate within one standard error of the best on the validation images.

        The trainings that count are longer, and what is right for a short one overfits in a long one.
        """
        found = {name: (self.tried(name) or {})["accuracy"] for name in CASES[self.model].candidates}
        best = max(found.values())
        slack = (best * (1 - best) / VALIDATION_IMAGES) ** 0.5
        return [name for name, accuracy in found.items() if accuracy >= best - slack][-1]

    def run(self, seeds: int) -> None:
        """Does what is left: the candidates, then the trainings that count, the one that is exported last."""
        from l2zoo.data import check_splits
        from l2zoo.studies.experiment import train_model
        from l2zoo.studies.experiment.artifact import rounded_formats, rounded_scores

        missing = [seed for seed in reversed(range(seeds)) if self.trained(seed) is None]
        if not missing:
            return
        self.try_candidates()
        case, candidate = CASES[self.model], CASES[self.model].candidates[self.chosen()]
        train, test = self.images("train"), self.images("test")
        check_splits(train, test)
        build, task = self.recipe(candidate, train)
        for seed in missing:
            model = train_model(
                build, task, train, training=candidate.training(case.epochs), l2=candidate.l2, seed=seed,
                run_dir=self.folder / "test" / f"seed{seed}", verbose=2,
            )  # fmt: skip
            found = task.measure(model, test)
            found |= rounded_scores(model, task, train, test, rounded_formats(FORMATS))
            if seed == 0:
                others = [self.trained(other) or {} for other in range(1, seeds)]
                values = {name: [one[name] for one in (found, *others)] for name in found}
                self.export(model, task, candidate, train, test, values)
            about = {"settings": str(candidate), "epochs": case.epochs}
            self.measured.add({f"{self.model}, seed {seed}": about | found})
            print(f"{self.model}, seed {seed}: {found}", flush=True)

    def trained(self, seed: int) -> dict[str, Any] | None:
        """What is known of a training that counts."""
        found: dict[str, Any] | None = self.measured.get(f"{self.model}, seed {seed}")
        return found

    def export(
        self, model: Any, task: Any, candidate: Candidate, train: Any, test: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Writes the model with its card, and what all seeds gave."""
        from l2zoo.studies.experiment.artifact import card_of, export_model

        case, seeds = CASES[self.model], len(metrics["accuracy"])
        note = (
            f"Made by `python benchmarks/fashion_mnist.py --case {self.model}`. How it was trained is the "
            f"best of {len(case.candidates)} ways, of several as good the most regularised: each for "
            f"{case.trial_epochs} epochs on 50,000 of the training images, judged on the other 10,000."
        )
        card = card_of(
            model, task, train, test, training=candidate.training(case.epochs), l2=candidate.l2, seeds=seeds,
            note=note,
        )  # fmt: skip
        picture = task.picture(model, test, self.folder / "predictions.png")
        export_model(
            model, task, train, test, self.folder / "artifact", formats=FORMATS, metrics=metrics,
            card=dataclasses.replace(card, picture=picture),
        )  # fmt: skip

    def rows(self) -> Iterator[str]:
        """The validation record, as lines of a Markdown table."""
        for name, candidate in CASES[self.model].candidates.items():
            found = self.tried(name)
            score = "- | -" if found is None else f"{found['accuracy']:.4f} | {found['log_loss']:.4f}"
            yield f"| {self.model} | {name} | {candidate} | {score} |"

    def result(self, seeds: int) -> str:
        """The test set, as a line of a Markdown table."""
        from l2zoo.stats.summary import mean_and_error

        found = [one for one in map(self.trained, range(seeds)) if one is not None]
        if not found:
            return f"| {self.model} | | - |"
        mean, error = mean_and_error([one["accuracy"] for one in found])
        said = f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}, {len(found)} seeds"
        reached = "reached" if mean >= CASES[self.model].target else "NOT reached"
        goal = f"{found[0]['settings']}, {found[0]['epochs']} epochs: {CASES[self.model].target} {reached}"
        return f"| {self.model} | {goal} | {said} |"


def main(
    case: Annotated[str, typer.Option(help=f"{', '.join(CASES)}, or all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings from other initial weights.")] = 3,
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    trials: Annotated[bool, typer.Option("--trials", help="Only the candidates, no test set.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only show what is finished.")] = False,
    out: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("runs/fashion_mnist"),
) -> None:
    """Chooses on validation images how a model is trained, and measures it on the test set."""
    names = cases.select_cases(case, CASES)
    measured = Measured(FOLDER / "fashion_mnist.json")
    studies = [Study(name, out / name, measured, data_dir) for name in names]
    for study in [] if show else studies:
        with fused_batch_norm():
            study.try_candidates() if trials else study.run(seeds)
    print("\n| model | candidate | settings | accuracy, 10,000 validation images | log loss |")
    print("|---|---|---|--:|--:|")
    print("\n".join(row for study in studies for row in study.rows()))
    print("\n| model | | accuracy on the test set |\n|---|---|---|")
    print(
        "\n".join(f"| {name}, published | {size} parameters | {score} |" for name, size, score in PUBLISHED)
    )
    print("\n".join(study.result(seeds) for study in studies))


if __name__ == "__main__":
    typer.run(main)
