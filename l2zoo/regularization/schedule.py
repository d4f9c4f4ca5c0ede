"""A callback that changes the strength while the model trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from l2zoo.regularization.strength import LiveL2, Strength
from l2zoo.regularization.weights import weights_of
from l2zoo.utils.arguments import suggest_arguments


@suggest_arguments
class L2Schedule(keras.callbacks.Callback):
    """Assigns a strength by a schedule, like Keras's `LearningRateScheduler` does for the learning rate.

    Args:
        strength: The live strength of the model's policy.
        schedule: A `keras.optimizers.schedules.LearningRateSchedule`, read at the number of steps the
            optimizer has taken, or a callable `schedule(epoch) -> strength` with epochs from 0.

    The strength in force at the end of an epoch is added to the logs as `l2`.

    Raises:
        TypeError: `strength` is not a `Strength`, or `schedule` is not callable.
        ValueError: When training begins: no weight of the model is penalised by this strength.

    Example:
        >>> strength = Strength(0.0)
        >>> warm_up = L2Schedule(strength, lambda epoch: 1e-4 * min(1.0, epoch / 5))
    """

    def __init__(self, strength: Strength, schedule: Callable[[Any], Any]):
        super().__init__()
        if not isinstance(strength, Strength):
            raise TypeError(
                f"`strength` must be a Strength, got {type(strength).__name__}. "
                "Make one, `strength = Strength(1e-4)`, and build the model with `L2Policy(strength)`."
            )
        if not callable(schedule):
            raise TypeError(f"`schedule` must be a Keras schedule or a callable of epoch, got {schedule!r}.")
        self.strength = strength
        self.schedule = schedule
        self._by_step = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)

    def on_train_begin(self, logs: dict | None = None) -> None:
        regularizers = [weight.variable.regularizer for weight in weights_of(self.model)]
        if not any(type(one) is LiveL2 and one.strength is self.strength for one in regularizers):
            raise ValueError(
                f"`strength` must be that of the model, but no weight of {self.model.name!r} is penalised "
                "by it, so that the schedule would change nothing. Apply it: "
                "L2Policy(strength).apply(model), or build the model with l2=strength."
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if not self._by_step:
            self.strength.assign(float(self.schedule(epoch)))

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self._by_step:
            # On JAX `self.model` also brings back the state of the model that is trained, so that both the
            # optimizer's steps and the strength are within reach.
            value = self.schedule(self.model.optimizer.iterations)
            self.strength.assign(float(keras.ops.convert_to_numpy(value)))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["l2"] = self.strength.value
