"""What an experiment is told: the task, and how models are trained."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Protocol

import keras

from l2zoo.data import ImageData, VideoData
from l2zoo.data.prepared import Prepared
from l2zoo.regularization.policy import L2Policy
from l2zoo.tasks.infer_output_kind import check_probabilities
from l2zoo.tasks.optimizers import optimizer
from l2zoo.utils.arguments import suggest_arguments

Data = ImageData | VideoData  # the latter of a VideoPrediction


class Task(Protocol):
    """What `l2zoo.tasks` has of each task, such as `Classification` and `VideoPrediction`."""

    name: Any
    class_names: Any
    objective: Any
    scale: Any  # of what the deployed model answers: rounding errors are compared with it

    def compiling(self) -> dict[str, Any]: ...
    def prepared(self, data: Any, *, augment: str = "none") -> Prepared: ...
    def measure(self, model: keras.Model, data: Any) -> dict[str, float]: ...
    def scores(self, outputs: Any, targets: Any) -> dict[str, float]: ...
    def examples(self, model: keras.Model, data: Any, most: int) -> tuple[Any, Any]: ...
    def deployed(self, model: keras.Model) -> keras.Model: ...
    def picture(self, model: keras.Model, data: Any, path: str | Path) -> Path: ...


@suggest_arguments
@dataclasses.dataclass(frozen=True)
class Training:
    """How a model is trained, but for its L2.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a step.
        optimizer: `"sgd"`, `"adam"` or `"adamw"`; L2 is decoupled with the last one.
        learning_rate: The highest.
        schedule: `"cosine"`, `"step"` or `"constant"`.
        augment: What `l2zoo.tasks.augmentation` takes, as in `"flip+shift"`.
        average: Momentum of a moving average of the weights, 0 for none.
        mixed_precision: Whether layers compute in 16 bits, as in `fit`. A search does not.
    """

    epochs: int
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    augment: str = "none"
    average: float = 0.0
    mixed_precision: bool = False

    def policy(self, l2: float) -> L2Policy:
        """The policy for a strength."""
        return L2Policy(l2, decoupled=self.optimizer == "adamw")

    def steps(self, num_examples: int) -> int:
        """How many updates of the weights a training on so many images or clips has."""
        return self.epochs * math.ceil(num_examples / self.batch_size)

    def compile(self, model: keras.Model, task: Task, policy: L2Policy, *, num_examples: int) -> keras.Model:
        """Compiles a model for as many steps as the training will have."""
        chosen: Any = optimizer(
            self.optimizer,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            steps=self.steps(num_examples),
            average=self.average,
        )
        if policy.decoupled:
            chosen = policy.optimizer(chosen, model)
        if task.name in ("classification", "segmentation"):
            check_probabilities(model)
        model.compile(chosen, **task.compiling())
        return model
