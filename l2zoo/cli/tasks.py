"""What `l2zoo train` is told, and one table that says how each task begins and which options are its own."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from l2zoo.studies.options import BackboneOptions, ExperimentOptions
from l2zoo.utils.scripts import expand_options

OF_TASK: Any = None  # not said: the table says it
FIRST = "classification"  # where neither a task nor a model nor data of ours says another


@dataclass(frozen=True, kw_only=True)
class TrainOptions(ExperimentOptions):
    """What a training is told; what is `OF_TASK` begins as the table says, for the tasks that have it."""

    augment: Annotated[str, typer.Option(help="As in flip+shift, or none.")] = OF_TASK
    loss: Annotated[
        str,
        typer.Option(
            help="crossentropy; of images focal or squared_error; of masks also dice, tversky or a sum, as "
            "in dice+focal; of clips absolute or squared."
        ),
    ] = OF_TASK
    label_smoothing: Annotated[float, typer.Option(help="Share of a label that all classes get.")] = OF_TASK
    privacy: Annotated[bool, typer.Option(help="Attack the model: are its images found?")] = OF_TASK
    filters: Annotated[str, typer.Option(help="Channels at stride 1, 2, 4, ...; of clips from 2.")] = OF_TASK
    backbone: Annotated[
        str,
        typer.Option(
            help="An encoder, such as MobileNetV2 or EfficientNetLite0; empty: the model's own. A classifier "
            "is this one and a new head."
        ),
    ] = OF_TASK
    weights: Annotated[
        str | None,
        typer.Option(help="Of the encoder: imagenet (downloaded, if they are not here), or a file."),
    ] = OF_TASK
    freeze: Annotated[bool, typer.Option(help="Keep the encoder as it is: the rest learns.")] = OF_TASK
    average: Annotated[float, typer.Option(help="Momentum of the average of the weights, or 0.")] = OF_TASK
    judge_epochs: Annotated[
        int, typer.Option(help="Epochs of the classifier that judges; 0: pixels are compared.")
    ] = OF_TASK
    samples: Annotated[int, typer.Option(help="Images that are drawn and judged.")] = OF_TASK
    steps: Annotated[int, typer.Option(help="Of drawing an image.")] = OF_TASK
    guidance: Annotated[float, typer.Option(help="1, or more for images more like their class.")] = OF_TASK
    frames: Annotated[int | None, typer.Option(help="Cut clips into pieces of so many frames.")] = OF_TASK

    @property
    def encoder(self) -> BackboneOptions:
        """The three options of an encoder."""
        return BackboneOptions(self.backbone, self.weights, self.freeze)

    @property
    def channels(self) -> tuple[int, ...]:
        """The filters as numbers."""
        try:
            return tuple(int(number) for number in self.filters.split(","))
        except ValueError:
            raise ValueError(
                f"--filters must be whole numbers, as in 16,32, got --filters {self.filters!r}."
            ) from None


UNSAID = TrainOptions(
    l2=OF_TASK, tune_images=OF_TASK, tune_epochs=OF_TASK, epochs=OF_TASK, batch_size=OF_TASK,
    mixed_precision=OF_TASK, out=Path("runs/train"),
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A row of the table.

    Args:
        model: Of the zoo, if none is said.
        defaults: What an option is that was not said. An option that stands here for some tasks is refused
            for the others.
        ours: Data of ours that are for it, each with the options that it needs.
    """

    model: str
    defaults: Mapping[str, Any]
    ours: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_ENCODER = {"backbone": "", "weights": None, "freeze": False}

TASKS: Mapping[str, Task] = {
    "classification": Task(
        "resnet20",
        {
            "l2": 5e-5, "epochs": 40, "batch_size": 32, "tune_images": 600, "tune_epochs": 10,
            "mixed_precision": False, "augment": "shift", "loss": "crossentropy", "label_smoothing": 0.0,
            "privacy": False, **_ENCODER,
        },
        {"l2zoo_digits": {}, "l2zoo_faces": {}},
    ),
    "segmentation": Task(
        "unet",
        {
            "l2": 1e-6, "epochs": 15, "batch_size": 8, "tune_images": 600, "tune_epochs": 8,
            "mixed_precision": True, "augment": "shift", "loss": "dice", "filters": "16,32,64,128",
            **_ENCODER,
        },
        {"l2zoo_scenes": {}},
    ),
    "detection": Task(
        "detector",
        {
            "l2": 0.01, "epochs": 25, "batch_size": 32, "tune_images": 1200, "tune_epochs": 20,
            "mixed_precision": False, "augment": "shift+zoom+color", **_ENCODER,
        },
        {"l2zoo_scenes": {}},
    ),
    "generation": Task(
        "diffusion",
        {
            "l2": 1e-6, "epochs": 60, "batch_size": 64, "tune_images": 1200, "tune_epochs": 40,
            "mixed_precision": False, "augment": "none", "filters": "16,32,64", "average": 0.99,
            "judge_epochs": 20, "samples": 1000, "steps": 50, "guidance": 2.0,
        },
        {"l2zoo_digits": {"image_size": 28}, "l2zoo_photos": {}},
    ),
    "video": Task(
        "video",
        {
            "l2": 1e-6, "epochs": 10, "batch_size": 8, "tune_images": 300, "tune_epochs": 6,
            "mixed_precision": True, "loss": "crossentropy", "filters": "16,32", "frames": None,
        },
        {"l2zoo_moving_digits": {}},
    ),
}  # fmt: skip


def options_of_tasks(command: Callable[..., None]) -> Callable[..., None]:
    """As `expand_options`; the help of an option also says what it begins with for which task."""
    expanded = expand_options(command)
    signature = inspect.signature(expanded)
    parameters = [
        one.replace(annotation=_with_defaults(one.annotation, one.name))
        for one in signature.parameters.values()
    ]
    expanded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {one.name: one.annotation for one in parameters}
    return expanded


def decide(
    data: str, task: str | None, model: str | None, said: TrainOptions
) -> tuple[str, str, TrainOptions]:
    """The task, the model, and every option that the task has; the table says what the command does not.

    Raises:
        ValueError: The model is for another task, or there is none such; an option that the task does not
            have, or that the model does not go with; data of ours that are for others. Nothing is read for
            that.
    """
    from l2zoo import zoo

    name = model or TASKS[task or _task_of(data)].model
    chosen = zoo.find(name, task=task).task
    _check_data(data, chosen)
    row = TASKS[chosen]
    for option, has in _tasks_by_option().items():
        if chosen not in has and getattr(said, option) is not None:
            flag = f"--{option.replace('_', '-')}"
            raise ValueError(f"{flag} is for {_listed(has, 'and')}, not for {chosen}: leave it out.")
    if chosen == "classification" and model and said.backbone:  # which takes the place of the model
        raise ValueError(f"A classifier on --backbone {said.backbone} is no --model {model}: leave one out.")
    begins = {**row.defaults, **row.ours.get(data, {})}
    unsaid = {option: value for option, value in begins.items() if getattr(said, option) is None}
    settled = dataclasses.replace(said, **unsaid)
    for parts, made_of in (("encoder", "freeze"), ("channels", "filters")):
        if made_of in begins:
            getattr(settled, parts)  # their own checks
    return chosen, name, settled


def _task_of(data: str) -> str:
    """What data of ours are for; of others it is a matter of saying."""
    fitting = [name for name, row in TASKS.items() if data in row.ours]
    if not fitting or FIRST in fitting:
        return FIRST
    if len(fitting) > 1:
        raise ValueError(f"{data} is for {_listed(fitting, 'or')}: say which, as in --task {fitting[0]}.")
    return fitting[0]


def _check_data(data: str, task: str) -> None:
    fitting = [name for name, row in TASKS.items() if data in row.ours]
    if fitting and task not in fitting:
        ours = _listed(list(TASKS[task].ours), "or")
        raise ValueError(
            f"{data} is for {_listed(fitting, 'or')}, not for {task}: take {ours}, or data of your own."
        )


def _tasks_by_option() -> dict[str, list[str]]:
    """Which tasks have an option that not all have."""
    options = {option for row in TASKS.values() for option in row.defaults}
    return {option: [name for name, row in TASKS.items() if option in row.defaults] for option in options}


def _with_defaults(annotation: Any, option: str) -> Any:
    """An annotation of Typer's whose help ends with what each task begins with."""
    begins = {name: row.defaults[option] for name, row in TASKS.items() if option in row.defaults}
    if not begins:
        return annotation
    kind, info = get_args(annotation)
    values = [_shown(value) for value in begins.values()]
    same = len(set(values)) == 1
    parts = list(begins) if same else [f"{name} {value}" for name, value in zip(begins, values, strict=True)]
    shown = f"{', '.join(parts)}: {values[0]}".removesuffix(": ") if same else "; ".join(parts)
    changed = copy.copy(info)
    changed.help = f"{info.help} [{shown}]"
    return Annotated[kind, changed]


def _listed(names: list[str], last: str) -> str:
    """Names in a sentence, as in "a, b and c"."""
    return f"{', '.join(names[:-1])} {last} {names[-1]}" if len(names) > 1 else names[0]


def _shown(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value in ("", None) else f"{value:g}" if isinstance(value, float) else str(value)
