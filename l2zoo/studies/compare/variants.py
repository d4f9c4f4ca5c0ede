"""`Variant`: one of the named settings that are compared; it says only what it does otherwise. Its models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from l2zoo.engine.record import Value
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.weights import weights_of
from l2zoo.studies.experiment import Task, Training
from l2zoo.tasks.augmentation import AUGMENTATIONS, augmentation, augmentation_names
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_number, did_you_mean

Build = Callable[[L2Policy], keras.Model]

L2_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
L1_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)  # the absolute values of small numbers are larger than their squares
DECAYS = (1e-2, 1e-1, 1.0, 10.0)  # of the weights, times the learning rate, a step
TEXTBOOK_STRENGTHS = (1.0, 1e1, 1e2, 1e3)  # over twice the number of parameters
MIXING = ("mixup", "cutmix")  # two images and their labels: not for a layer that sees images alone


@suggest_arguments
@dataclasses.dataclass(frozen=True)
class Variant:
    """A named setting of a comparison: what is not said here is as in all the others.

    Attributes:
        name: In tables and pictures.
        l2: The penalty: a strength in Keras's convention, an `L2Policy`, or, with `strengths`, a function
            that makes an `L2Policy` of one, such as `lambda s: L2Policy(0.0, l1=s)`. A strength for
            `"adamw"` is decoupled.
        strengths: Where the variant's own strength is chosen from, by cross-validation; none for a fixed one.
            A policy in `l2` is then taken with each of them in the place of its own.
        optimizer: What `l2zoo.tasks.optimizer` takes.
        learning_rate: The highest.
        loss: A loss of the task, such as `"focal"`.
        augment: Augmentation that leaves targets as they are, as in `"shift+zoom"`.
        build: Makes another model than the others.

    Example:
        >>> Variant("L1", l2=lambda s: L2Policy(0.0, l1=s), strengths=(1e-4, 1e-3)).policy(1e-3)
        L2Policy(0.0, l1=0.001)
    """

    name: str
    l2: float | L2Policy | Callable[[float], L2Policy] | None = None
    strengths: Sequence[float] = ()
    optimizer: str | None = None
    learning_rate: float | None = None
    loss: str | None = None
    augment: str | None = None
    build: Build | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"`name` of a variant must be a word for tables, got name={self.name!r}.")
        strengths = tuple(sorted({check_number("strengths", each) for each in self.strengths}))
        object.__setattr__(self, "strengths", strengths)
        if callable(self.l2) and not strengths:
            raise ValueError(
                f"`l2` of variant {self.name!r} makes a policy of a strength: say from which in `strengths`, "
                "as in strengths=(1e-4, 1e-3, 1e-2), or give the policy itself."
            )
        if isinstance(self.l2, (int, float)) and strengths:
            raise ValueError(
                f"Variant {self.name!r} has a strength, l2={self.l2}, and `strengths` to choose from. Give "
                "one of them."
            )

    @property
    def tuned(self) -> bool:
        """Whether it has strengths to choose from."""
        return len(self.strengths) > 1

    @property
    def candidates(self) -> tuple[float, ...]:
        """The strengths, 0 for one that is fixed: its number stands in the policy."""
        return tuple(self.strengths) or (0.0,)

    def policy(self, strength: float = 0.0, *, optimizer: str = "adam") -> L2Policy:
        """The policy at a strength, which counts only where there are `strengths`."""
        if callable(self.l2):
            return self.l2(strength)
        if isinstance(self.l2, L2Policy):
            return dataclasses.replace(self.l2, strength=strength) if self.strengths else self.l2
        number = strength if self.strengths else self.l2 or 0.0
        return L2Policy(number, decoupled=(self.optimizer or optimizer) == "adamw")

    def training(self, common: Training) -> Training:
        """How it is trained."""
        names = ("optimizer", "learning_rate", "augment")
        own: dict[str, Any] = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return dataclasses.replace(common, **own)

    def task(self, common: Task) -> Task:
        """What it is trained for."""
        if self.loss is None:
            return common
        changed: Any = common
        return dataclasses.replace(changed, loss=self.loss)


def usual_variants(build_with_dropout: Build, *, augment: str = "zoom") -> list[Variant]:
    """None, L2, L1, AdamW, dropout, augmentation and the objective of the textbooks, with their strengths.

    The last is 1/(2n) times the sum of squared errors plus s/(2m) times the sum of squared weights, by Adam.

    Args:
        build_with_dropout: Makes the model with dropout, which the common one must not have.
        augment: The augmentation that is compared, as in `"shift+zoom"`.

    Example:
        >>> [variant.name for variant in usual_variants(lambda policy: None)]
        ['none', 'L2', 'L1', 'AdamW', 'dropout', 'zoom', 'textbook']
    """
    return [
        Variant("none"),
        Variant("L2", strengths=L2_STRENGTHS),
        Variant("L1", l2=lambda strength: L2Policy(0.0, l1=strength), strengths=L1_STRENGTHS),
        Variant("AdamW", optimizer="adamw", strengths=DECAYS),
        Variant("dropout", build=build_with_dropout),
        Variant(augment, augment=augment),
        Variant(
            "textbook",
            l2=L2Policy(1.0, convention="mean"),
            strengths=TEXTBOOK_STRENGTHS,
            loss="squared_error",
        ),
    ]


def check_variants(variants: Sequence[Variant], baseline: str | None) -> str:
    """The name of the baseline, by default that of the first variant.

    Raises:
        TypeError: Something is no `Variant`.
        ValueError: Fewer than two; a name twice; a baseline that is not among them.
    """
    for variant in variants:
        if not isinstance(variant, Variant):
            raise TypeError(f"`variants` must be l2zoo.Variant, got {variant!r}.")
    names = [variant.name for variant in variants]
    if len(names) < 2:
        raise ValueError(f"`variants` must be at least two, got {names}.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"`variants` must have different names, but {twice} stand there more than once.")
    if baseline is not None and baseline not in names:
        raise ValueError(
            f"`baseline` must be the name of a variant, one of {names}, got {baseline!r}."
            f"{did_you_mean(baseline, names)}"
        )
    return names[0] if baseline is None else baseline


@dataclasses.dataclass(frozen=True)
class VariantBuilder:
    """Makes the compiled model of a variant: the `build` of a `Job`, which goes to workers.

    Attributes:
        build: Makes the common model.
        variants: All of them.
        task: The common one.
        training: The common one.
    """

    build: Build
    variants: Sequence[Variant]
    task: Task
    training: Training

    def __call__(self, values: dict[str, Value]) -> keras.Model:
        """The model for a `variant`, its `l2`, and as many `examples` in an epoch as there will be."""
        (variant,) = (each for each in self.variants if each.name == values["variant"])
        training = variant.training(self.training)
        policy = variant.policy(float(values["l2"]), optimizer=training.optimizer)
        model = (variant.build or self.build)(policy)
        _check_penalised(model, policy, variant)
        if training.augment != "none":
            model = _with_augmentation(model, training.augment, task=self.task.name)
        task = variant.task(self.task)
        return training.compile(model, task, policy, num_examples=int(values["examples"]))


def _with_augmentation(model: keras.Model, names: str, *, task: str) -> keras.Model:
    """The model with layers before it that change images in training, and only then.

    Raises:
        ValueError: An unknown augmentation, or one that changes targets.
    """
    image_shape = model.inputs[0].shape[1:]
    augmentation(names, task=task, image_shape=image_shape)  # its errors
    chosen = augmentation_names(names)
    unfit = [name for name in chosen if name in MIXING]
    if unfit or task != "classification":
        raise ValueError(
            f"`augment` of a comparison must leave targets as they are, got augment={names!r} for {task}: it "
            f"is for classification, without {', '.join(MIXING)}."
        )
    inputs = keras.Input(image_shape, dtype=model.inputs[0].dtype)
    features = inputs
    for layer in (layer for name in chosen for layer in AUGMENTATIONS[name]()):
        features = layer(features)
    return keras.Model(inputs, model(features), name=model.name)


def _check_penalised(model: Any, policy: L2Policy, variant: Variant) -> None:
    """Raises if a penalty did not arrive; what is no model is found later."""
    wanted = not policy.decoupled and (float(policy.strength) or policy.l1)
    if not wanted or not isinstance(model, keras.Model):
        return
    if all(weight.variable.regularizer is None for weight in weights_of(model)):
        raise ValueError(
            f"`build` ignores the policy of variant {variant.name!r}: nothing of the model is penalised. "
            "Hand it to the builder, `build_cnn(..., l2=policy)`, or end with `return policy.apply(model)`."
        )
