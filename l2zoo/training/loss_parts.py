"""The two parts of a loss: the data loss, which a metric measures, and the penalty of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops


def weight_penalty(model: keras.Model) -> float:
    """What the weights add to the loss now: the sum over the trainable weights' regularizers, in float32."""
    parts = [w.regularizer(w) for w in model.trainable_weights if w.regularizer is not None]
    return float(ops.convert_to_numpy(sum(parts))) if parts else 0.0


class DataLoss(keras.metrics.Mean):
    """Mean data loss over the examples of an epoch, and how far the epoch came before it went wrong.

    Keras's own `loss` is data loss plus penalties. As it is, this is a mean over batches weighted by
    their size, so that in an evaluation `loss = data_loss + penalty`.

    Args:
        loss: A `keras.losses.Loss`, a function of `(y_true, y_pred)`, or Keras's name for one.
        replicas: By how many replicas a distribution strategy divides each loss.

    Attributes:
        good_steps: Steps of the epoch before the first whose total loss was not finite.
        penalty: The last one that was a number, total less data loss of a step; 0 if not `alone`.
    """

    def __init__(self, loss: Any, *, replicas: int = 1):
        super().__init__(name="data_loss")
        self._direction = "down"  # where Keras's callbacks look which way is better
        self._loss = loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(keras.losses.get(loss))
        self._replicas = replicas
        self._summed_loss: Callable[[], Any] = lambda: ops.convert_to_tensor(self.total)
        self._alone = True
        self.good_steps = self.add_variable((), "zeros", name="good_steps")
        self.penalty = self.add_variable((), "zeros", name="penalty")
        self._summed_before = self.add_variable((), "zeros", name="summed_before")

    def watch(self, model: keras.Model, *, alone: bool) -> None:
        """Follows the running sum of the model's `loss`: from the first bad step on it is not finite.

        Args:
            model: The model that was compiled with this metric.
            alone: Whether its data loss is this one and no other.
        """
        self._alone = alone
        loss = next(metric for metric in model.metrics if metric.name == "loss")
        self._summed_loss = lambda: ops.convert_to_tensor(loss.total)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        value = ops.cast(self._loss(y_true, y_pred, sample_weight) * self._replicas, self.dtype)
        size = ops.cast(ops.shape(y_pred)[0], self.dtype)
        super().update_state(value, sample_weight=size)
        summed = self._summed_loss()
        self.good_steps.assign_add(ops.cast(ops.isfinite(summed), self.dtype))
        if not self._alone:
            return
        penalty = (summed - self._summed_before) / size - value
        self.penalty.assign(ops.where(ops.isnan(penalty), ops.convert_to_tensor(self.penalty), penalty))
        self._summed_before.assign(summed)

    def reset_state(self) -> None:
        for variable in self.variables:
            variable.assign(0.0)


class _FunctionLoss(keras.losses.Loss):
    """A function of `(y_true, y_pred)` with a value for each example, averaged as Keras does it."""

    def __init__(self, function: Callable[[Any, Any], Any]):
        super().__init__(name="data_loss")
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # As Keras does; else (B,) and (B, 1) would be compared as (B, B).
        if len(y_pred.shape) == len(y_true.shape) + 1 and y_pred.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, -1)
        elif len(y_true.shape) == len(y_pred.shape) + 1 and y_true.shape[-1] == 1:
            y_pred = ops.expand_dims(y_pred, -1)
        return self.function(y_true, y_pred)


class LossParts(keras.callbacks.Callback):
    """Adds `l2_penalty` to the logs of every epoch, and stops a training whose numbers are not finite.

    Args:
        measures: The metrics that the model was compiled with, by what stands before `data_loss`.
        weights: What each is multiplied by in the model's loss.
        epochs: Of the whole run.
        steps: Of an epoch, `None` if nobody knows.
        kept: The folder of the run, if there is one, for the message.
    """

    def __init__(
        self,
        measures: Mapping[str, DataLoss],
        weights: Mapping[str, float],
        *,
        epochs: int,
        steps: int | None,
        kept: str | None,
    ):
        super().__init__()
        self.measures, self.weights = measures, weights
        self.epochs, self.steps, self.kept = epochs, steps, kept
        self.epoch = self.batch = 0
        self.penalty = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.penalty = weight_penalty(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.batch = batch
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            getattr(self.model, "jax_state_sync", lambda: None)()  # on JAX metrics live elsewhere till then
            raise FloatingPointError(self._message(f"The loss became {loss} in", *self._first_bad_step()))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        penalty = weight_penalty(self.model)
        if not all(bool(ops.all(ops.isfinite(weight))) for weight in self.model.trainable_weights):
            raise FloatingPointError(self._message("A weight became infinite or NaN in", self.batch, penalty))
        self.penalty = penalty
        if logs is not None:
            logs["l2_penalty"] = penalty
            for prefix in ("", "val_"):
                self._add_up_outputs(logs, prefix)

    def _first_bad_step(self) -> tuple[int, float | None]:
        """The step in its epoch, from 0, and the last penalty that was a number."""
        if not self.measures:  # such a model runs step by step
            return self.batch, None
        measure = next(iter(self.measures.values()))
        step, penalty = (float(ops.convert_to_tensor(v)) for v in (measure.good_steps, measure.penalty))
        return int(step), penalty if step and len(self.measures) == 1 else None

    def _message(self, what: str, batch: int, penalty: float | None) -> str:
        of_steps = f" of {self.steps}" if self.steps else ""
        last = "" if penalty is None else f" and {penalty:.3g} when last computed"
        kept = f" {self.kept!r} keeps the epochs before; resume=False starts over there." if self.kept else ""
        return (
            f"{what} epoch {self.epoch + 1} of {self.epochs}, step {batch + 1}{of_steps}. The L2 penalty was "
            f"{self.penalty:.3g} at the start of that epoch{last}. Try a lower learning rate, "
            f"`clipnorm=1.0` in the optimizer or, if the penalty grew, a smaller strength.{kept}"
        )

    def _add_up_outputs(self, logs: dict[str, float], prefix: str) -> None:
        """`data_loss` of a model with several outputs; for one output the metric's own name is that."""
        parts = {name: logs.get(f"{prefix}{name}data_loss") for name in self.weights}
        if parts and None not in parts.values():
            total = sum(self.weights[name] * value for name, value in parts.items() if value is not None)
            logs[f"{prefix}data_loss"] = total
