"""`finetune`: a trained backbone put to new classes from few images, and random weights beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import keras

from l2zoo.artifacts import Artifact
from l2zoo.artifacts.formats import table
from l2zoo.data import ImageData, check_splits, divided
from l2zoo.models.backbones import add_classifier, clone_backbone, unfreeze
from l2zoo.regularization.audit import audit
from l2zoo.regularization.policy import L2Policy
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Column, Table, cell
from l2zoo.search.result import SearchResult
from l2zoo.studies.experiment import Search, Training, metrics_table, train_model
from l2zoo.studies.experiment.artifact import card_of, export_model
from l2zoo.tasks import Classification
from l2zoo.utils.storage.files import write_json
from l2zoo.utils.storage.held_folder import hold_folder
from l2zoo.utils.validation import check_number, whole_number

FORMATS = ("savedmodel", "tflite")
RANDOM, AT_ONCE = "from random weights", "all levels at once"
METRICS = "metrics.json"
Scores = dict[str, dict[str, tuple[float, ...]]]
"""Of each way its metrics by name, each seed's."""
Trained = Iterator[tuple["Stage", keras.Model]]
"""Each stage and the model after it."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What a stage trained.

    Attributes:
        name: Its way, as in the table of scores.
        learns: What the audit says before it: what is penalised, and what is frozen.
        before: The penalty before it, of what learns.
        after: The same after it.
    """

    name: str
    learns: str
    before: float
    after: float


@dataclasses.dataclass(frozen=True, repr=False)
class FinetuneResult(Printed):
    """What fine-tuning came to. Prints as its figures; Rich and notebooks show the tables too.

    Attributes:
        scores: Of each way its metrics on the test set, by name, each seed's.
        stages: Of the first seed, in the order in which they were trained.
        l2: The strength.
        images: How many were trained on.
        tested: On how many was measured.
        model: The first seed's, after the last stage.
        picture: What it says of some test images.
        artifact: The exported model.
        search: How the strength was chosen, if it was.
    """

    scores: Scores
    stages: tuple[Stage, ...]
    l2: float
    images: int
    tested: int
    model: keras.Model
    picture: Path
    artifact: Artifact
    search: SearchResult | None = None

    def table(self, metric: str = "accuracy") -> Table:
        """A row for each way: mean and standard error over the seeds."""
        title = f"{metric.capitalize()} on {self.tested:,} images after {self.images:,}, l2={self.l2:g}"
        return metrics_table(
            {way: found[metric] for way, found in self.scores.items()}, title=title, heading=""
        )

    def audits(self) -> Table:
        """A row for each stage of the first seed: what its penalty reaches, and how large it is."""
        rows = [
            (each.name, each.learns, cell(each.before, "{:.3g}"), cell(each.after, "{:.3g}"))
            for each in self.stages
        ]
        return Table.of(["Stage", "Audit", Column("Penalty before"), Column("After")], rows)

    def _lines(self) -> list[str]:
        found = [] if self.search is None else [f"The strength: {self.search.verdict}"]
        return [*found, f"Picture: {self.picture}", f"Artifact: {self.artifact.folder}"]

    def _tables(self) -> list[Table]:
        return [self.audits(), self.table()]


def finetune(
    backbone: keras.Model,
    train: ImageData,
    test: ImageData,
    *,
    training: Training,
    directory: str | Path,
    levels: Sequence[int | None] = (0, 2, None),
    slower: float = 10.0,
    limit: int | None = None,
    l2: float | Sequence[float] = 0.0,
    seeds: int = 1,
    scratch: bool = True,
    at_once: bool = True,
    formats: Sequence[str] = FORMATS,
) -> FinetuneResult:
    """Fine-tunes a backbone stage by stage and, beside that, all at once and from random weights.

    In each stage more of the backbone learns, at a lower rate (gradual unfreezing). L2 counts for what learns
    and for nothing else, as the audit of each stage says; the backbone's batch norm stays as it came. All
    ways take as many passes over the images as the stages together. Everything is kept in `directory`;
    stopped in the middle, the same call goes on.

    Args:
        backbone: With trained weights and without its top, as `application(..., weights="imagenet")` gives
            it. It stays as it is.
        train: Images with labels.
        test: Others, which decide nothing.
        training: Of the first stage; the learning rate of each further one is divided by `slower`. All at
            once has the rate of the last stage, random weights that of the second.
        directory: Folder of the runs, `metrics.json`, `predictions.png` and `artifact/`.
        levels: How many levels of the backbone learn in each stage, as for `unfreeze`: 0 is the new head
            alone, None all of them.
        slower: At least 1.
        limit: So many training images, other ones for each seed; None for all.
        l2: The strength of L2 in Keras's convention (with `"adamw"`, of decay), or several, of which
            cross-validation chooses, on the images of the first seed, with all levels at once.
        seeds: How many trainings, each with other images, if `limit` leaves any out, and another head.
        scratch: Whether random weights are trained too.
        at_once: Whether all levels at once are trained too.
        formats: Of the first seed's model after its last stage: what `export` takes.

    Raises:
        TypeError: `backbone` is not a functional Keras model.
        ValueError: Numbers out of range; a backbone of other images than `train`, or with its top; images of
            `test` that are in `train`.

    References:
        Howard and Ruder 2018, Universal Language Model Fine-tuning for Text Classification.
    """
    whole_number("seeds", seeds, at_least=1)
    if not check_number("slower", slower) >= 1:
        raise ValueError(f"`slower` must be at least 1, got slower={slower}.")
    for strength in l2 if isinstance(l2, Sequence) else [l2]:
        check_number("l2", strength)
    table.select(formats)
    check_splits(train, test)
    study = _Study(backbone, train, test, training, Path(directory), tuple(levels), slower, limit)
    study.check()
    with hold_folder(directory, argument="directory"):
        strength, search = study.strength(l2)
        model, stages, scores = study.run(strength, seeds, scratch=scratch, at_once=at_once)
        images = study.images(0).num_examples
        write_json(study.directory / METRICS, {"l2": strength, "images": images} | scores)
        picture = study.task.picture(model, test, study.directory / "predictions.png")
        artifact = study.export(model, strength, scores[study.name(levels[-1])], formats, seeds, picture)
    return FinetuneResult(
        scores, stages, strength, images, test.num_examples, model, picture, artifact, search
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Study:
    """What the ways of training have in common."""

    backbone: keras.Model
    train: ImageData
    test: ImageData
    training: Training
    directory: Path
    levels: tuple[int | None, ...]
    slower: float
    limit: int | None

    @cached_property
    def task(self) -> Classification:
        return Classification(self.train.class_names)

    def check(self) -> None:
        """Raises before anything is trained what would fail in the middle."""
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise ValueError(
                f"`levels` must be one stage or several different ones, got {list(self.levels)}."
            )
        model = self.model(0)
        shape, wanted = tuple(model.inputs[0].shape[1:]), tuple(self.train.image_shape)
        if shape != wanted:
            raise ValueError(
                f"`backbone` must take images like those of `train`, {wanted}, got one that takes {shape}. "
                "Build it for them, application(NAME, train.image_shape), which shows grey ones in all three "
                "channels; or load them with image_size=."
            )
        for level in self.levels:
            unfreeze(model, level)

    def run(
        self, l2: float, seeds: int, *, scratch: bool, at_once: bool
    ) -> tuple[keras.Model, tuple[Stage, ...], Scores]:
        """The first seed's model and stages, and the scores of all: that seed comes last, and is kept."""
        found: dict[str, dict[str, list[float]]] = {}
        ways = [*([self.scratch] if scratch else []), *([self.at_once] if at_once else []), self.gradual]
        for seed in reversed(range(seeds)):
            stages: list[Stage] = []
            for way in ways:
                for stage, model in way(l2, seed):
                    stages.append(stage)
                    for name, value in self.task.measure(model, self.test).items():
                        found.setdefault(stage.name, {}).setdefault(name, []).insert(0, value)
        scores = {way: {name: tuple(each) for name, each in of.items()} for way, of in found.items()}
        return model, tuple(stages), scores

    def images(self, seed: int) -> ImageData:
        """The training images of a seed."""
        return self.train if self.limit is None else divided(self.train, self.limit, seed=seed)[0]

    def model(self, seed: int, *, random: bool = False) -> keras.Model:
        """The backbone with a new head."""
        keras.utils.set_random_seed(seed)
        return add_classifier(clone_backbone(self.backbone, random=random), self.train.num_classes)

    def name(self, levels: int | None) -> str:
        """What a stage is called."""
        if levels == 0:
            return "a new head alone"
        return "then all levels" if levels is None else f"then {levels} level{'s' if levels > 1 else ''}"

    def scratch(self, l2: float, seed: int) -> Trained:
        """Trains random weights, batch norm included."""
        yield self._stage(
            RANDOM, self.model(seed, random=True), l2, seed, number=1, epochs=self._epochs, kept="scratch"
        )

    def at_once(self, l2: float, seed: int) -> Trained:
        """Trains all levels from the start."""
        model = unfreeze(self.model(seed), None)
        last = len(self.levels) - 1
        yield self._stage(AT_ONCE, model, l2, seed, number=last, epochs=self._epochs, kept="at-once")

    def gradual(self, l2: float, seed: int) -> Trained:
        """Trains stage after stage."""
        model = self.model(seed)
        for number, level in enumerate(self.levels):
            unfreeze(model, level)
            kept = f"stage{number}-{'all' if level is None else level}"
            yield self._stage(
                self.name(level), model, l2, seed, number=number, epochs=self.training.epochs, kept=kept
            )

    def strength(self, l2: float | Sequence[float]) -> tuple[float, SearchResult | None]:
        """The strength that was given, or that cross-validation chooses, and what it found."""
        if not isinstance(l2, Sequence):
            return check_number("l2", l2), None
        quick = self._rate(len(self.levels) - 1, self._epochs)
        quick = dataclasses.replace(quick, augment="none", average=0.0, mixed_precision=False)
        search = Search(self.images(0), quick, strengths=tuple(l2))
        found = search.run(self._pretrained, self.task, directory=self.directory / "search")
        return found.best, found

    def export(
        self, model: keras.Model, l2: float, metrics: dict[str, tuple[float, ...]], formats: Sequence[str],
        seeds: int, picture: Path,
    ) -> Artifact:  # fmt: skip
        """The artifact of the model that went through all stages."""
        stages = ", ".join("all" if level is None else str(level) for level in self.levels)
        note = (
            f"Fine-tuned in {len(self.levels)} stages of {self.training.epochs} epochs, in which {stages} "
            f"levels of {self.backbone.name} learnt, each at a rate {self.slower:g} times lower than before."
        )
        few, training = self.images(0), dataclasses.replace(self.training, epochs=self._epochs)
        card = card_of(model, self.task, few, self.test, training=training, l2=l2, seeds=seeds, note=note)
        return export_model(
            model, self.task, few, self.test, self.directory / "artifact", formats=formats, metrics=metrics,
            card=dataclasses.replace(card, picture=picture),
        )  # fmt: skip

    @property
    def _epochs(self) -> int:
        """Of all stages together."""
        return self.training.epochs * len(self.levels)

    def _rate(self, number: int, epochs: int) -> Training:
        """The training with the rate of a stage."""
        rate = self.training.learning_rate / self.slower**number
        return dataclasses.replace(self.training, epochs=epochs, learning_rate=rate)

    def _pretrained(self, policy: L2Policy) -> keras.Model:
        return policy.apply(
            unfreeze(add_classifier(clone_backbone(self.backbone), self.train.num_classes), None)
        )

    def _stage(
        self, name: str, model: keras.Model, l2: float, seed: int, *, number: int, epochs: int, kept: str
    ) -> tuple[Stage, keras.Model]:
        """Trains what is not frozen of a model, or takes what was trained of it before."""
        learns, before = "", 0.0

        def build(policy: L2Policy) -> keras.Model:
            nonlocal learns, before
            found = audit(policy.apply(model))
            learns, before = found.summary, found.penalty
            return model

        train_model(
            build, self.task, self.images(seed), training=self._rate(number, epochs), l2=l2, seed=seed,
            run_dir=self.directory / f"seed{seed}" / kept, verbose=0,
        )  # fmt: skip
        return Stage(name, learns, before, audit(model).penalty), model
