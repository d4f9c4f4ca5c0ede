"""Models of variants, compiled, as the machinery of a search asks for them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras

from l2zoo.engine.live_numbers import numbers_of, structure_of
from l2zoo.engine.record import Value
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.weights import weights_of
from l2zoo.studies.compare.variants import Build, Variant
from l2zoo.studies.experiment import Task, Training
from l2zoo.tasks.augmentation import AUGMENTATIONS, augmentation, augmentation_names

MIXING = ("mixup", "cutmix")  # two images and their labels: not for a layer that sees images alone


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes the compiled model of a variant; goes to workers.

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
            model = augmented(model, training.augment, task=self.task.name)
        task = variant.task(self.task)
        return training.compile(model, task, policy, num_examples=int(values["examples"]))


def augmented(model: keras.Model, names: str, *, task: str) -> keras.Model:
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


def identity(model: keras.Model, training: Training) -> str:
    """What a training of a compiled model depends on, as a short hash; the data and the seed apart."""
    structure, _ = structure_of(model)
    numbers = dataclasses.asdict(numbers_of(model))
    rate = numbers.pop("learning_rate")
    numbers["learning_rate"] = rate if rate is None or isinstance(rate, float) else rate.get_config()
    words = [structure, numbers, training.epochs, training.batch_size]
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:16]


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
