"""The one table of models: what each name builds, for which task, and where it comes from."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import did_you_mean, one_of

if TYPE_CHECKING:
    import keras

    from l2zoo.regularization.policy import L2Policy
    from l2zoo.regularization.strength import Strength


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Args:
        builder: `"module:function"`, imported when the model is built, so that listing stays instant.
        task: What the model's output answers, e.g. `"classification"`.
        source: Where the architecture comes from, and what differs.
        options: Arguments of the builder that the name stands for; `build(options=...)` overrides them.
    """

    builder: str
    task: str
    source: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def load(self) -> Callable[..., keras.Model]:
        """Imports the builder."""
        module, function = self.builder.split(":")
        builder: Callable[..., keras.Model] = getattr(importlib.import_module(module), function)
        return builder


MODELS: Mapping[str, Entry] = MappingProxyType(
    {
        "cnn": Entry(
            builder="l2zoo.models.cnn:build_cnn",
            task="classification",
            source="this project: stages of 3x3 convolutions with batch norm, for images from 8x8 pixels up",
        ),
        "cnn_plain": Entry(
            builder="l2zoo.models.cnn:build_cnn",
            task="classification",
            source="the same without batch norm: the CNN of the textbooks, on which L2 acts as they say",
            options=MappingProxyType({"batch_norm": False}),
        ),
        **{
            f"resnet{depth}{suffix}": Entry(
                builder="l2zoo.models.resnet:build_resnet",
                task="classification",
                source=f"He et al. {year}, for images of about {side}x{side}",
                options=MappingProxyType({"depth": depth, "version": version}),
            )
            for version, suffix, year in ((1, "", 2015), (2, "v2", 2016))
            for side, depths in ((32, (20, 32, 44, 56, 110)), (224, (18, 34, 50, 101, 152)))
            for depth in depths
        },
        **{
            f"efficientnet_lite{variant}": Entry(
                builder="l2zoo.models.efficientnet_lite:build_efficientnet_lite",
                task="classification",
                source=f"Tan and Le 2019, Liu 2020, for images of about {side}x{side}",
                options=MappingProxyType({"variant": variant}),
            )
            for variant, side in enumerate((224, 240, 260, 280, 300))
        },
        "detector": Entry(
            builder="l2zoo.models.detector:build_detector",
            task="detection",
            source="Tian et al. 2019 (FCOS) on a feature pyramid from stride 4; `backbone=` takes any other",
        ),
        "diffusion": Entry(
            builder="l2zoo.models.diffusion:build_diffusion",
            task="generation",
            source="Ho et al. 2020 (DDPM), smaller, predicting the velocity of Salimans and Ho 2022",
        ),
        "unet": Entry(
            builder="l2zoo.models.unet:build_unet",
            task="segmentation",
            source="Ronneberger et al. 2015, padded and normalised; `backbone=` takes any other encoder",
        ),
        "video": Entry(
            builder="l2zoo.models.video:build_video",
            task="video",
            source="Shi et al. 2015 (ConvLSTM) between the levels of a CNN; forecasts the next frame",
        ),
    }
)

# What `build` itself sets: these are no options.
_OWN_ARGUMENTS = ("input_shape", "num_classes", "weights", "l2", "name")


@suggest_arguments
def list_models(pattern: str | None = None, *, task: str | None = None) -> list[str]:
    """The names in the zoo, sorted.

    Args:
        pattern: A glob the name must match, e.g. `"resnet*"`; `None` for all.
        task: Only models for this task.

    Returns:
        Names that `build` takes; empty if none matches.

    Raises:
        ValueError: No model of the zoo has this task.

    Example:
        >>> list_models("c*", task="classification")
        ['cnn', 'cnn_plain']
    """
    if task is not None:
        one_of("task", task, tasks())
    return sorted(
        name
        for name, entry in MODELS.items()
        if (pattern is None or fnmatch.fnmatchcase(name, pattern)) and task in (None, entry.task)
    )


def tasks() -> list[str]:
    """What the models of the zoo are for, sorted."""
    return sorted({entry.task for entry in MODELS.values()})


def find(name: str, *, task: str | None = None) -> Entry:
    """The table's row for a name.

    Args:
        name: One of `list_models()`.
        task: What the model must be for, if that matters.

    Raises:
        TypeError: `name` is not a string.
        ValueError: The zoo has no such model (the message lists the close names), or it is for another task
            (the message lists those that are for this one).

    Example:
        >>> find("cnn").task
        'classification'
    """
    if not isinstance(name, str):
        raise TypeError(f"`name` must be a string, got name={name!r}. list_models() gives the names.")
    if name in MODELS:
        entry = MODELS[name]
        if task not in (None, entry.task):
            raise ValueError(
                f"`name` must be a model for {task}, got name={name!r}, which is for {entry.task}. "
                f"There are: {', '.join(list_models(task=task))}."
            )
        return entry
    close = difflib.get_close_matches(name.lower(), MODELS, n=5, cutoff=0.4)
    hint = f"Close names: {', '.join(close)}." if close else f"There are: {', '.join(sorted(MODELS))}."
    raise ValueError(f"`name` must be a model of the zoo, got name={name!r}. {hint}")


@suggest_arguments
def build(
    name: str,
    input_shape: Sequence[int],
    num_classes: int | None = None,
    *,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a model of the zoo by its name.

    Args:
        name: One of `list_models()`.
        input_shape: `(H, W, C)`, of video `(T, H, W, C)`, without the batch; the model takes raw pixels in
            [0, 255].
        num_classes: Number of classes, for models that know some.
        weights: Trained weights to begin with: those of the saved model `NAME_WEIGHTS`, such as `"digits"`,
            or of an artifact's folder; `None` for random ones.
        l2: A strength in Keras's convention, a policy, or `None` for no penalty.
        options: Further arguments of the builder, e.g. `{"dropout": 0.5}`, over those the name stands for.

    Returns:
        The model, built, not compiled, with the penalty on it. Its name is `name`.

    Raises:
        TypeError: An argument is of the wrong type.
        FileNotFoundError: There are no such `weights`.
        ValueError: The name is unknown (the message lists the close ones), the builder has no such
            option, or it refuses a value.

    Example:
        >>> build("cnn", (28, 28, 1), 10, l2=1e-4).output_shape
        (None, 10)
    """
    entry = find(name)
    options = {} if options is None else options
    check_options(name, options)
    chosen = {**entry.options, **options, **_classes(name, num_classes)}
    return entry.load()(input_shape, weights=weights, l2=l2, name=name, **chosen)


def _classes(name: str, num_classes: int | None) -> dict[str, int]:
    """`num_classes` as an argument of the builder behind a name, if it takes and needs it."""
    parameter = inspect.signature(find(name).load()).parameters.get("num_classes")
    if num_classes is None:
        if parameter is not None and parameter.default is parameter.empty:
            raise ValueError(f"`num_classes` must be given for {name!r}: how many classes there are.")
        return {}
    if parameter is None:
        raise ValueError(f"`num_classes` is not for {name!r}, which knows no classes: leave it out.")
    return {"num_classes": num_classes}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuses options that the builder behind a name does not take.

    Raises:
        TypeError: `options` is not a mapping.
        ValueError: The zoo has no such model, or its builder no such option; the message lists those it has.

    Example:
        >>> check_options("cnn", {"dropout": 0.5})
    """
    if not isinstance(options, Mapping):
        raise TypeError(f"`options` must map names to values, got options={options!r}.")
    parameters = inspect.signature(find(name).load()).parameters
    known = [parameter for parameter in parameters if parameter not in _OWN_ARGUMENTS]
    unknown = [option for option in options if option not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ValueError(f"`options` of {name!r} must be out of {known}, got {unknown}.{hint}")
