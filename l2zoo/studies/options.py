"""Options that commands and scripts share: the data, the strength or its search, the training, the files.

`l2zoo.utils.scripts.expand_options` makes an option of each field; whoever takes them gives defaults of its
own. Importing this is light, since the help of every command shows them: what reads data comes with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import typer

from l2zoo.utils.console import say

if TYPE_CHECKING:
    from l2zoo.data import ImageData, VideoData
    from l2zoo.studies.experiment import Outcome, Training

_Data = TypeVar("_Data", "ImageData", "VideoData")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Which examples a script trains on."""

    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None
    train_split: Annotated[
        str | None, typer.Option(help="What is trained on, as in train[:80%]; train if not said.")
    ] = None
    groups: Annotated[
        str | None,
        typer.Option(
            help="What stays on one side, of a folder: a pattern of file names, as in 'patient(\\d+)', or a "
            "CSV table with the columns file and group."
        ),
    ] = None
    image_size: Annotated[
        int | None,
        typer.Option(help="Side to resize images to; if not said, that of a folder's usual image."),
    ] = None
    aspect: Annotated[
        str, typer.Option(help="Images of another aspect: stretch, crop or pad (with black) them.")
    ] = "stretch"

    def loader(self, load: Callable[..., _Data], source: str, **settings: Any) -> Loader[_Data]:
        """What opens splits of the data, as `loader("train", limit=600)` does.

        Args:
            load: `l2zoo.data.load` or `load_video`.
            source: As for these.
            **settings: Further arguments of theirs, such as `task`.
        """
        from l2zoo.data import load_video

        size = None if self.image_size is None else (self.image_size, self.image_size)
        given = {"data_dir": self.data_dir, "image_size": size, **settings}
        if load is not load_video:
            given["aspect"] = self.aspect
        elif self.aspect != "stretch":
            raise ValueError(f"--aspect is for images, clips are stretched: got --aspect {self.aspect}.")
        return Loader(load, source, given if self.groups is None else {**given, "groups": self.groups}, self)


@dataclass(frozen=True, kw_only=True)
class DataOptions(SourceOptions):
    """Which examples a script trains on, and which it measures on."""

    test_split: Annotated[
        str | None, typer.Option(help="What is measured on; test if not said, or what is held out.")
    ] = None
    holdout: Annotated[
        float | None,
        typer.Option(help="Share that is held out of data without a test split; 0.2 if not said."),
    ] = None


@dataclass(frozen=True)
class Loader(Generic[_Data]):
    """Opens splits of one source, as the command line says.

    Attributes:
        load: `l2zoo.data.load` or `load_video`.
        source: As for these.
        settings: Further arguments of theirs.
        options: What the command line says.
    """

    load: Callable[..., _Data]
    source: str
    settings: dict[str, Any]
    options: SourceOptions

    def __call__(self, split: str, **few: Any) -> _Data:
        return self.load(self.source, split, **self.settings, **few)

    def train(self, **few: Any) -> _Data:
        """What is trained on, where nothing is measured on a test set."""
        return self(self.options.train_split or "train", **few)

    def train_and_test(self, **few: Any) -> tuple[_Data, _Data]:
        """What is trained on, with these further arguments, and what is measured on; they are apart.

        Raises:
            ValueError: They are not, or there is no such split; in the words of the command line.
        """
        from l2zoo.data import load_video
        from l2zoo.data.load import split_names
        from l2zoo.data.splits import train_test
        from l2zoo.data.videos import video_split_names

        given = {"data_dir": self.settings["data_dir"]}
        if self.load is load_video:
            if self.options.groups is not None:
                raise ValueError("--groups is for images: of clips, whole folders are held out anyway.")
            names = video_split_names(self.source, **given)
        else:
            names = split_names(self.source, task=self.settings.get("task", "classification"), **given)
        return train_test.open_both(
            self, names, train_split=self.options.train_split, source=self.source,
            test_split=getattr(self.options, "test_split", None),
            holdout=getattr(self.options, "holdout", None), say=train_test.in_the_shell, **few,
        )  # fmt: skip

    def again(self, train: _Data, test: _Data) -> Callable[..., _Data]:
        """What opens the training data anew, with other arguments such as `limit`, without test images."""
        from l2zoo.data import leave_out

        def opened(**few: Any) -> _Data:
            return leave_out(self(train.split, holdout=train.holdout, **few), test)

        return opened


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(DataOptions):
    """What every experiment is told on the command line.

    Example:
        >>> options = ExperimentOptions(l2=1e-4, tune_images=600, tune_epochs=8, epochs=40, out=Path("runs"))
        >>> options.optimizer, options.seeds
        ('adam', 1)
    """

    limit: Annotated[int | None, typer.Option(help="Train on so many examples only.")] = None
    l2: Annotated[float, typer.Option(help="Strength of L2, in Keras's convention.")]
    tune_l2: Annotated[bool, typer.Option(help="Choose the strength by cross-validation.")] = False
    tune_images: Annotated[
        int, typer.Option("--tune-images", "--tune-clips", help="Images, or clips, for that.")
    ]
    tune_epochs: Annotated[int, typer.Option(help="Epochs of each training of that.")]
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam"
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 2e-3
    epochs: Annotated[int, typer.Option(help="Passes over the training examples.")]
    batch_size: Annotated[int, typer.Option(help="Examples in a step.")] = 32
    mixed_precision: Annotated[bool, typer.Option(help="Compute in 16 bits where it is safe.")] = False
    formats: Annotated[str, typer.Option(help="As in savedmodel,tflite,tflite_fp16,tflite_int8.")] = (
        "savedmodel,tflite"
    )
    watch: Annotated[
        bool, typer.Option(help="Look at every kernel while training: monitor.csv, a heat map.")
    ] = False
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 1
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")]

    def training(self, **settings: Any) -> Training:
        """How a model is trained; `settings` are what there is no option for here, such as `augment`."""
        from l2zoo.studies.experiment import Training

        return Training(
            self.epochs, self.batch_size, self.optimizer, self.learning_rate,
            mixed_precision=self.mixed_precision, **settings,
        )  # fmt: skip

    def run(
        self,
        build: Callable[..., Any],
        task: Any,
        train: Any,
        test: Any,
        *,
        training: Training,
        searched: Callable[..., Any],
        **settings: Any,
    ) -> Outcome:
        """Runs the experiment, at the given strength or at the one that is searched first.

        Args:
            build: As for `l2zoo.experiment`, and the next three too.
            task: What the model is for.
            train: The training data.
            test: The test data.
            training: How each seed is trained.
            searched: Opens what a search trains on: all training data, however few `train` has, or with
                `limit=`.
            **settings: Further arguments of `l2zoo.experiment`.
        """
        from l2zoo.studies.experiment import Search, Training, experiment

        l2: Any = self.l2
        if self.tune_l2:
            quick = Training(self.tune_epochs, self.batch_size, self.optimizer, self.learning_rate)
            l2 = Search(self._few(train, searched), quick)
        return experiment(
            build, task, train, test, training=training, l2=l2, seeds=self.seeds,
            formats=self.formats.split(","), watch=self.watch, directory=self.out, **settings,
        )  # fmt: skip

    def _few(self, train: Any, searched: Callable[..., Any]) -> Any:
        """As many examples as a search is to take, or all that there are."""
        every = train if self.limit is None else searched()
        if every.num_examples > self.tune_images:
            return searched(limit=self.tune_images)
        if every.num_examples < self.tune_images:
            say(
                f"The search for the strength takes all {every.num_examples} examples that there are.",
                err=True,
            )
        return every


@dataclass(frozen=True)
class BackboneOptions:
    """Whether a model of the zoo has another encoder in the place of its own.

    Attributes:
        backbone: An encoder, such as `"MobileNetV2"`; empty for the model's own.
        weights: Of the encoder: `"imagenet"` or a file.
        freeze: Whether the encoder stays as it is.

    Raises:
        ValueError: There is no backbone that could be frozen or have weights.
    """

    backbone: str = ""
    weights: str | None = None
    freeze: bool = False

    def __post_init__(self) -> None:
        if self.freeze and not self.backbone:
            raise ValueError("--freeze needs a --backbone, whose weights stay as they are.")
        if self.weights and not self.backbone:
            raise ValueError(f"--weights {self.weights} needs a --backbone, whose weights they are.")

    def build(self, input_shape: Sequence[int]) -> dict[str, Any]:
        """The encoder as an option of `l2zoo.build`; nothing where there is none."""
        if not self.backbone:
            return {}
        from l2zoo.models.backbones import application

        model = application(self.backbone, input_shape, weights=self.weights, trainable=not self.freeze)
        return {"backbone": model}
